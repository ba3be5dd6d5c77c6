import { PlatformError } from '#shared/errors.ts';
import type { DecisionRow } from './decisionRows.ts';
import type { BallotChoice } from './inputs.ts';
import { type Vote, votesOf } from './voting/index.ts';

/**
 * What was said, as the method counts it.
 * @throws {VALIDATION_FAILED} unless exactly one thing is said @throws {RULE_MISCONFIGURED} where the method counts something else
 */
export function toVote(
  { optionId, approvals, ranking, allocation, abstain }: BallotChoice,
  decision: Pick<DecisionRow, 'rules' | 'options'>,
): Vote {
  const { rules, options } = decision;
  const said: Vote[] = [
    ...(optionId == null ? [] : [{ kind: 'choice', option: optionId } as const]),
    ...(approvals == null ? [] : [{ kind: 'approvals', options: approvals } as const]),
    ...(ranking == null ? [] : [{ kind: 'ranking', order: ranking } as const]),
    ...(allocation == null
      ? []
      : [
          {
            kind: 'allocation',
            votes: Object.fromEntries(allocation.map((one) => [one.optionId, one.votes])),
          } as const,
        ]),
    ...(abstain === true ? [{ kind: 'abstain' } as const] : []),
  ];
  const [vote] = said;
  if (vote === undefined || said.length > 1)
    throw new PlatformError(
      'VALIDATION_FAILED',
      `expected one of optionId, approvals, ranking, allocation and abstain, got ${said.length}`,
      {
        path: ['input'],
      },
    );
  const counted: readonly Vote['kind'][] = votesOf[rules.method];
  if (!counted.includes(vote.kind))
    throw new PlatformError(
      'RULE_MISCONFIGURED',
      `${rules.method.toUpperCase()} counts ${counted.join(' or ')}, got ${vote.kind}`,
      {
        path: ['input'],
      },
    );
  if (vote.kind === 'abstain' && !rules.abstentionAllowed)
    throw new PlatformError('VALIDATION_FAILED', 'this vote takes no abstention', { path: ['input', 'abstain'] });
  const named =
    vote.kind === 'choice'
      ? [vote.option]
      : vote.kind === 'approvals'
        ? vote.options
        : vote.kind === 'ranking'
          ? vote.order
          : vote.kind === 'allocation'
            ? Object.keys(vote.votes)
            : [];
  const unknown = named.filter((id) => !options.some((option) => option.id === id));
  if (unknown.length > 0)
    throw new PlatformError('VALIDATION_FAILED', `no such option: ${unknown[0]}`, { path: ['input', 'optionId'] });
  if (vote.kind === 'ranking' && vote.order.length === 0)
    throw new PlatformError('VALIDATION_FAILED', 'ranking: expected at least one option', {
      path: ['input', 'ranking'],
    });
  return vote;
}
