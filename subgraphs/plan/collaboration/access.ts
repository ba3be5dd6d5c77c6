import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import { holds } from '#shared/rights.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { planTarget } from '../access.ts';
import { requirePlan } from '../planChanges.ts';
import type { PlanRow } from '../rows.ts';
import type { ContributionRow, Participant, SessionRow } from './rows.ts';
import { findContributions, findSessions, findTimedSession, type TimedSession } from './store.ts';

interface HeldSession {
  readonly plan: PlanRow;
  readonly session: TimedSession;
}

/** A session under the lock of its plan. @throws {NOT_FOUND} */
export async function holdSession(tx: SqlTransaction, scope: RequestScope, sessionId: string): Promise<HeldSession> {
  const { tenantId } = scope.principal;
  const [known] = isId(sessionId) ? await findSessions(tx, tenantId, [sessionId]) : [];
  if (!known) throw unknownSession();
  const plan = await requirePlan(tx, scope, known.planId).catch((error: unknown) => {
    // A plan that is hidden hides what belongs to it.
    throw error instanceof PlatformError && error.code === 'NOT_FOUND' ? unknownSession() : error;
  });
  const session = await findTimedSession(tx, tenantId, { id: sessionId });
  if (!session) throw unknownSession();
  return { plan, session };
}

/** A contribution and its session under the lock of their plan. @throws {NOT_FOUND} */
export async function holdContribution(
  tx: SqlTransaction,
  scope: RequestScope,
  contributionId: string,
): Promise<HeldSession & { readonly contribution: ContributionRow }> {
  const { tenantId } = scope.principal;
  const find = async () => (isId(contributionId) ? (await findContributions(tx, tenantId, [contributionId]))[0] : null);
  const known = await find();
  if (!known) throw unknownContribution();
  const held = await holdSession(tx, scope, known.sessionId).catch((error: unknown) => {
    throw error instanceof PlatformError && error.code === 'NOT_FOUND' ? unknownContribution() : error;
  });
  // As it stands now that nobody else changes it.
  const contribution = await find();
  if (!contribution) throw unknownContribution();
  return { ...held, contribution };
}

/** @throws {COLLABORATION_TIMEOUT} {INVALID_STATE} */
export function requireOpenSession({ status, isDue, deadlineAt }: TimedSession): void {
  if (status === 'TIMED_OUT' || (status === 'OPEN' && isDue))
    throw new PlatformError('COLLABORATION_TIMEOUT', `the time of the session was over at ${deadlineAt}`, {
      path: ['sessionId'],
    });
  if (status !== 'OPEN')
    throw new PlatformError('INVALID_STATE', `expected an open session, it is ${status}`, { path: ['sessionId'] });
}

/** @throws {INVALID_STATE} */
export function requireStatus(contribution: ContributionRow, ...expected: readonly ContributionRow['status'][]): void {
  if (!expected.includes(contribution.status))
    throw new PlatformError(
      'INVALID_STATE',
      `expected a contribution that is ${expected.join(' or ')}, it is ${contribution.status}`,
      { path: ['contributionId'] },
    );
}

/** @throws {NOT_A_PARTICIPANT} */
export function requireParticipant(participants: readonly Participant[], { principal }: RequestScope): Participant {
  const found = participants.find(({ subject }) => subject === principal.subject);
  if (!found) throw new PlatformError('NOT_A_PARTICIPANT', 'only participants change the plan in this session');
  return found;
}

/** @throws {PERMISSION_DENIED} */
export function requireAuthor({ author }: ContributionRow, { principal }: RequestScope): void {
  if (author !== principal.subject)
    throw new PlatformError('PERMISSION_DENIED', 'only its author changes a contribution', {
      path: ['contributionId'],
    });
}

/** @throws {PERMISSION_DENIED} unless who started it or plan:admin asks. */
export function requireHost({ createdBy, planId, contextId }: SessionRow, { principal }: RequestScope): void {
  if (createdBy !== principal.subject && !holds(principal, 'plan:admin', planTarget({ planId, contextId })))
    throw new PlatformError('PERMISSION_DENIED', 'only who started a session manages it', { path: ['sessionId'] });
}

export function unknownSession(): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such session', { path: ['sessionId'] });
}

function unknownContribution(): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such contribution', { path: ['contributionId'] });
}
