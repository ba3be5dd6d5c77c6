import { PlatformError } from '#shared/errors.ts';
import type { CouncilRules } from '../councilRows.ts';
import type { BallotRules, DecisionRow } from '../decisionRows.ts';
import type { RulesInput } from '../inputs.ts';

const defaultSessionMs = 8 * 3_600_000;

/** The council that decides by these rules; null takes away the one that held before. @throws {RULE_MISCONFIGURED} */
export function toCouncil(
  { council: given, method }: Pick<RulesInput, 'council' | 'method'>,
  base: CouncilRules | undefined,
): CouncilRules | undefined {
  if (given === null) return undefined;
  const council: CouncilRules | undefined =
    given === undefined
      ? base
      : {
          type: given.type,
          maxSessionDurationMs: given.maxSessionDurationMs ?? defaultSessionMs,
          quorumEnforced: given.quorumEnforced ?? true,
          multipleRoundsAllowed: given.multipleRoundsAllowed ?? false,
          abstentionAllowed: given.abstentionAllowed ?? true,
          delegationAllowed: given.delegationAllowed ?? false,
        };
  // An extension that does not answer would have a sitting outlive its time.
  if (council !== undefined && method === 'custom')
    throw new PlatformError('RULE_MISCONFIGURED', 'the votes of a council are not counted by an extension', {
      path: ['input', 'rules', 'council'],
    });
  return council;
}

/** Rules of a voting as they hold in it: before a council its own come first. */
export function rulesInForce({ rules, councilId }: Pick<DecisionRow, 'rules' | 'councilId'>): BallotRules {
  const { council } = rules;
  if (councilId === null || council === undefined) return rules;
  const { abstentionAllowed, delegationAllowed, quorumEnforced } = council;
  return { ...rules, abstentionAllowed, delegationAllowed, isQuorumBinding: quorumEnforced };
}

/** What a council decides is not voted on by everybody; what it advises on is. @throws {RULE_MISCONFIGURED} */
export function requireNoCouncil({ rules: { council } }: Pick<DecisionRow, 'rules'>): void {
  if (council === undefined || council.type === 'advisory') return;
  throw new PlatformError('RULE_MISCONFIGURED', 'a council decides it: open its sitting', {
    details: { council: council.type.toUpperCase() },
  });
}
