import { PlatformError } from '#shared/errors.ts';
import { toCouncil } from './council/rules.ts';
import type { BallotRules } from './decisionRows.ts';
import type { RulesInput } from './inputs.ts';
import { quorumOf, votingRules } from './voting/index.ts';
import type { Weighting } from './weighting.ts';

/** A vote that nobody gave more time is over by then. */
export const defaultTimeLimitMs = 30 * 60_000;

export const defaultRules: BallotRules = {
  ...votingRules({ method: 'majority' }),
  anonymity: false,
  transparency: true,
  revisionAllowed: false,
  delegationAllowed: true,
  abstentionAllowed: true,
  timeLimitMs: defaultTimeLimitMs,
};

/** Rules as they are given over those that hold without; those of another method begin at that method's own. @throws {RULE_MISCONFIGURED} */
export function toRules(given: RulesInput | null | undefined, base: BallotRules = defaultRules): BallotRules {
  if (given == null) return base;
  const { extension: _extension, council: _council, weighting: _weighting, ...kept } = base;
  const start = given.method === base.method ? base : { ...kept, ...votingRules({ method: given.method }) };
  const isCustom = given.method === 'custom';
  if (isCustom && given.extension == null && base.extension === undefined)
    throw new PlatformError('RULE_MISCONFIGURED', 'the method CUSTOM needs an extension that counts', {
      path: ['input', 'rules', 'extension'],
    });
  const council = toCouncil(given, base.council);
  const { council: _before, weighting: _weighed, ...begun } = start as BallotRules;
  const weighting = toWeighting(given, start as BallotRules);
  const extension = isCustom ? (given.extension ?? base.extension) : undefined;
  return {
    ...begun,
    quorum: {
      minimum: given.quorum?.minimum ?? start.quorum.minimum,
      fraction: given.quorum?.fraction ?? start.quorum.fraction,
    },
    threshold: given.unanimityRequired === true ? 1 : (given.threshold ?? start.threshold),
    isWeighted: given.weighted ?? (given.weighting == null ? start.isWeighted : true),
    fallback: given.fallback ?? start.fallback,
    tieBreaks: given.tieBreaks ?? start.tieBreaks,
    anonymity: given.anonymity ?? start.anonymity,
    transparency: given.transparency ?? start.transparency,
    revisionAllowed: given.revisionAllowed ?? start.revisionAllowed,
    delegationAllowed: given.delegationAllowed ?? start.delegationAllowed,
    abstentionAllowed: given.abstentionAllowed ?? start.abstentionAllowed,
    timeLimitMs: given.timeLimitMs ?? start.timeLimitMs,
    ...(extension === undefined ? {} : { extension }),
    ...(weighting === undefined ? {} : { weighting }),
    ...(council === undefined ? {} : { council }),
  };
}

/** Methods that count voices, whatever weighs how much. */
const unweighted: readonly BallotRules['method'][] = ['majority', 'byzantine_quorum', 'coordinator'];

/** @throws {RULE_MISCONFIGURED} */
function toWeighting({ weighting: given, method, weighted }: RulesInput, start: BallotRules): Weighting | undefined {
  if (given == null) return given === null ? undefined : start.weighting;
  if (unweighted.includes(method) || weighted === false)
    throw new PlatformError('RULE_MISCONFIGURED', `${method.toUpperCase()} counts voices here, not weights`, {
      path: ['input', 'rules', 'weighting'],
    });
  const roles = Object.fromEntries((given.roles ?? []).map(({ roleId, weight }) => [roleId, weight]));
  return { strategy: given.strategy, roles };
}

/** @throws {QUORUM_UNREACHABLE} */
export function requireReachable({ quorum, method }: BallotRules, voters: number): void {
  const needed = quorumOf(quorum, voters);
  if (needed > voters)
    throw new PlatformError('QUORUM_UNREACHABLE', `a quorum of ${needed} of ${voters} voters is never met`, {
      details: { quorum: needed, voters },
    });
  if (method === 'byzantine_quorum' && voters < 4)
    throw new PlatformError('RULE_MISCONFIGURED', `a Byzantine quorum needs 4 voters at least, got ${voters}`);
}
