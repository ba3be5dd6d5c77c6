import { z } from 'zod';
import { PlatformError } from '#shared/errors.ts';
import type { Graph } from '#shared/graph.ts';
import type { Principal } from '#shared/principal.ts';
import type { CustomResult } from './conclude.ts';
import type { BallotRow, DecisionRow } from './decisionRows.ts';

const askText = `mutation CustomTally($input: ExecuteExtensionInput!) {
  executeExtension(input: $input) { result userErrors { code message } }
}`;

const answer = z.object({
  winner: z.string().nullable(),
  standings: z
    .array(z.object({ option: z.string(), support: z.number().min(0) }))
    .max(50)
    .optional(),
  rationale: z.string().max(5_000).optional(),
});

interface Executed {
  readonly executeExtension: {
    readonly result: unknown;
    readonly userErrors: readonly { readonly code: string; readonly message: string }[];
  } | null;
}

const unusable = (reason: string, details: Readonly<Record<string, unknown>> = {}) =>
  new PlatformError('RULE_MISCONFIGURED', `the extension that counts this vote ${reason}`, { details });

/**
 * Has an extension count a vote, as the principal. What goes out of an anonymous vote are votes without voters.
 * @throws {RULE_MISCONFIGURED} where no subgraph runs extensions, this one refuses, or its answer makes no sense
 * @throws {UNAVAILABLE} where it does not answer now
 */
export async function askExtension(
  graph: Graph,
  principal: Principal,
  decision: DecisionRow,
  ballots: readonly BallotRow[],
): Promise<CustomResult> {
  const { extension } = decision.rules;
  if (extension === undefined) throw unusable('is not named');
  const weights = new Map(decision.electorate.map(({ id, weight }) => [id, weight]));
  const parameters = {
    options: decision.options,
    criteria: decision.criteria,
    voters: decision.electorate.length,
    ballots: ballots.flatMap(({ voter, vote }) =>
      vote === null ? [] : [{ ...(decision.rules.anonymity ? {} : { voter }), weight: weights.get(voter) ?? 0, vote }],
    ),
  };
  const { data, errors } = await graph.execute<Executed>(
    askText,
    { input: { ...extension, parameters, options: { timeoutMs: 5_000 } } },
    principal,
  );
  const executed = data?.executeExtension;
  if (!executed) {
    const [error] = errors;
    if (error?.code === 'GRAPHQL_VALIDATION_FAILED' || error?.code === 'BAD_USER_INPUT')
      throw unusable('cannot be run: nothing in the graph runs extensions');
    if (error?.code === 'PERMISSION_DENIED') throw new PlatformError('PERMISSION_DENIED', error.message);
    throw new PlatformError('UNAVAILABLE', `the extension that counts this vote could not be asked: ${error?.message}`);
  }
  const [refused] = executed.userErrors;
  if (refused !== undefined) throw unusable(`refused: ${refused.message}`, { code: refused.code });
  const parsed = answer.safeParse(executed.result);
  if (!parsed.success)
    throw unusable('answered something else than a winner', { issue: parsed.error.issues[0]?.message });
  const { winner, standings, rationale } = parsed.data;
  return {
    winner,
    ...(standings === undefined ? {} : { standings }),
    ...(rationale === undefined ? {} : { rationale }),
  };
}
