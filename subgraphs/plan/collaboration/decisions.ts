import { PlatformError } from '#shared/errors.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { planEvent } from '../events.ts';
import type { Network } from '../networkChange.ts';
import { readNetwork, writeNetwork } from '../networkWrite.ts';
import type { Author } from '../planChanges.ts';
import type { PlanRow } from '../rows.ts';
import { upsertPlans } from '../store.ts';
import { sessionEvent } from './events.ts';
import { changeByContribution } from './networkEdit.ts';
import type { ContributionRow, SessionRow, VoteRow } from './rows.ts';
import { findContributions, updateContribution } from './store.ts';
import { judge, tallyVotes, type Verdict } from './tally.ts';
import { trailOf, undoTrail } from './trail.ts';

export interface Decided {
  /** As it stands after it. */
  readonly plan: PlanRow;
  readonly contribution: ContributionRow;
  readonly events: readonly NewEvent[];
}

export function judgeContribution(
  { electorate }: Pick<ContributionRow, 'electorate'>,
  votes: readonly VoteRow[],
  { session, isFinal }: { readonly session: SessionRow; readonly isFinal: boolean },
): Verdict | null {
  const total = electorate.reduce((sum, { weight }) => sum + weight, 0);
  return judge(tallyVotes(total, votes), session, isFinal);
}

/** What a contribution makes of a network. @throws {NOT_FOUND} {CONFLICT} {VALIDATION_FAILED} {VERSION_CONFLICT} {INVALID_STATE} */
export async function changeNetworkBy(
  tx: SqlTransaction,
  network: Network,
  { tenantId, planId, change, undoOf }: Pick<ContributionRow, 'tenantId' | 'planId' | 'change' | 'undoOf'>,
): Promise<Network> {
  if (change !== null) return changeByContribution(network, change, { tenantId, planId });
  const [undone] = await findContributions(tx, tenantId, [undoOf!]);
  if (undone?.status !== 'APPLIED' || undone.trail === null)
    throw new PlatformError('INVALID_STATE', `expected an applied contribution, it is ${undone?.status ?? 'gone'}`, {
      path: ['contributionId'],
    });
  return undoTrail(network, undone.trail);
}

/**
 * Carries a verdict out, under the plan's lock: an accepted contribution becomes part of the plan, by the way all edits
 * take, unless the plan is another by now.
 */
export async function settleContribution(
  tx: SqlTransaction,
  {
    plan,
    session,
    contribution,
  }: { readonly plan: PlanRow; readonly session: SessionRow; readonly contribution: ContributionRow },
  verdict: Verdict,
  author: Author,
): Promise<Decided> {
  if (!verdict.accepted) {
    const rejected = await updateContribution(tx, { ...contribution, status: 'REJECTED', outcome: verdict.outcome });
    const events = [sessionEvent('plan.contribution.rejected', session, { contribution: rejected })];
    return { plan, contribution: rejected, events };
  }
  if (plan.version !== contribution.planVersion || plan.status !== 'draft') {
    const outcome = 'VERSION_CONFLICT';
    const held = await updateContribution(tx, { ...contribution, status: 'CONFLICTED', outcome });
    const events = [sessionEvent('plan.contribution.conflicted', session, { contribution: held })];
    return { plan, contribution: held, events };
  }
  const before = await readNetwork(tx, plan);
  const after = await changeNetworkBy(tx, before, contribution);
  const { row, network } = await writeNetwork(tx, plan, { before, after }, { author });
  await upsertPlans(tx, [row], 'upsert');
  const applied = await updateContribution(tx, {
    ...contribution,
    ...{ status: 'APPLIED', trail: trailOf(before, after), appliedVersion: row.version },
  });
  const events = [
    sessionEvent('plan.contribution.applied', session, { contribution: applied }),
    planEvent('plan.updated', row, { operation: 'contribution', contributionId: applied.id, network }),
  ];
  if (applied.undoOf !== null) {
    const [undone] = await findContributions(tx, plan.tenantId, [applied.undoOf]);
    const gone = await updateContribution(tx, { ...undone!, status: 'UNDONE' });
    events.push(sessionEvent('plan.contribution.undone', session, { contribution: gone }));
  }
  return { plan: row, contribution: applied, events };
}

/** How many versions apart: what the caller is told beside the contribution. */
export function conflictOf({ planVersion }: ContributionRow, plan: PlanRow): PlatformError {
  return new PlatformError(
    'VERSION_CONFLICT',
    `agreed for version ${planVersion} of the plan, which is at ${plan.version}: rebase the contribution`,
    {
      path: ['contributionId'],
      details: { expectedVersion: planVersion, actualVersion: plan.version, status: plan.status.toUpperCase() },
    },
  );
}
