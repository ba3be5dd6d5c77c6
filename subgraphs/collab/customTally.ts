import { z } from 'zod';
import { PlatformError } from '#shared/errors.ts';
import type { Graph } from '#shared/graph.ts';
import type { Principal } from '#shared/principal.ts';
import { type CustomResult, electionOf } from './conclude.ts';
import type { BallotRow, DecisionRow } from './decisionRows.ts';
import { unique } from './inputs/common.ts';
import type { RulesInput } from './inputs.ts';

const askText = `mutation CustomTally($input: ExecuteExtensionInput!) {
  executeExtension(input: $input) { result userErrors { code message retryable } }
}`;

const answer = z.object({
  winner: z.string().nullable(),
  standings: z
    .array(z.object({ option: z.string(), support: z.number().min(0) }))
    .max(50)
    .refine((list) => unique(list.map(({ option }) => option)), 'an option stands twice')
    .optional(),
  tied: z.array(z.string()).max(50).refine(unique, 'an option stands twice').optional(),
  rationale: z.string().max(5_000).optional(),
});

interface Executed {
  readonly executeExtension: {
    readonly result: unknown;
    readonly userErrors: readonly { readonly code: string; readonly message: string; readonly retryable: boolean }[];
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
  const { votes } = electionOf(
    decision,
    ballots.filter(({ round }) => round === decision.round),
    { coordinator: null, isOver: true },
  );
  const parameters = {
    options: decision.options.map(({ id, label, description, isStatusQuo }) => ({
      id,
      label,
      description,
      isStatusQuo,
    })),
    criteria: decision.criteria,
    voters: decision.electorate.length,
    ballots: votes.map(({ voter, weight, voices, vote }) => ({
      ...(decision.rules.anonymity ? {} : { voter }),
      ...{ weight, voices, vote },
    })),
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
  if (refused?.retryable === true)
    throw new PlatformError(
      'UNAVAILABLE',
      `the extension that counts this vote does not do so now: ${refused.message}`,
    );
  if (refused !== undefined) throw unusable(`refused: ${refused.message}`, { code: refused.code });
  const parsed = answer.safeParse(executed.result);
  if (!parsed.success)
    throw unusable('answered something else than a winner', { issue: parsed.error.issues[0]?.message });
  const { winner, standings, tied, rationale } = parsed.data;
  const named = [...(winner === null ? [] : [winner]), ...(tied ?? []), ...(standings ?? []).map((one) => one.option)];
  const unknown = named.find((id) => !decision.options.some((option) => option.id === id));
  if (unknown !== undefined) throw unusable(`answered ${unknown}, which is no option`);
  return {
    winner,
    ...(standings === undefined ? {} : { standings }),
    ...(tied === undefined ? {} : { tied }),
    ...(rationale === undefined ? {} : { rationale }),
  };
}

const lookText = `query CustomCounter($id: ID!) {
  extension(id: $id) { id capabilities { id interfaces { methods { methodName } } } }
}`;

interface Seen {
  readonly extension: {
    readonly capabilities: readonly {
      readonly id: string;
      readonly interfaces: readonly { readonly methods: readonly { readonly methodName: string }[] }[];
    }[];
  } | null;
}

/**
 * That there is what is to count a vote. Where nothing in the graph knows of extensions, or the caller may not read them,
 * that is found out when it counts.
 * @throws {RULE_MISCONFIGURED} where the caller sees no such extension, capability or method @throws {UNAVAILABLE}
 */
export async function requireCounter(
  graph: Graph,
  principal: Principal,
  { rules, path }: { readonly rules: RulesInput | null | undefined; readonly path: readonly string[] },
): Promise<void> {
  const extension = rules?.method === 'custom' ? rules.extension : null;
  if (extension == null) return;
  const { data, errors } = await graph.execute<Seen>(lookText, { id: extension.extensionId }, principal);
  const refused = (field: keyof typeof extension, message: string) =>
    new PlatformError('RULE_MISCONFIGURED', message, { path: [...path, 'extension', field] });
  const isElsewhere = errors.some(({ code }) =>
    ['GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT', 'PERMISSION_DENIED'].includes(code),
  );
  if (isElsewhere) return;
  if (data?.extension == null) {
    if (errors.length > 0 && errors.every(({ code }) => code !== 'NOT_FOUND'))
      throw new PlatformError('UNAVAILABLE', 'the extension could not be looked up', { path: [...path, 'extension'] });
    throw refused('extensionId', `no such extension: ${extension.extensionId}`);
  }
  const capability = data.extension.capabilities.find(({ id }) => id === extension.capabilityId);
  if (capability === undefined)
    throw refused('capabilityId', `the extension has no capability ${extension.capabilityId}`);
  const methods = capability.interfaces.flatMap((one) => one.methods.map(({ methodName }) => methodName));
  if (!methods.includes(extension.method))
    throw refused('method', `the capability has no method ${extension.method}, it has ${methods.join(', ')}`);
}
