import type { EventRow } from '#shared/events.ts';

/** That something confirms are about is over, and which of them that concerns. */
export interface Ending {
  readonly where: 'context' | 'plan' | 'target' | 'execution';
  /** Its id. */
  readonly value: unknown;
  readonly reason: string;
  /** Only confirms of this type. @default all */
  readonly type?: string;
  /** Only what the plan module asked about this step of a run, of this attempt or one before: when it was blocked, or for its review. */
  readonly step?: {
    readonly kind: 'plan.step' | 'plan.step.review';
    readonly executionId: string;
    readonly stepId: string;
    readonly attempt: number;
  };
  /** Only what was asked for before: of the plan in an older version, or where no version is named, by this time. */
  readonly before?: { readonly version: number | null; readonly at: string };
}

interface Told {
  readonly plan?: { readonly id?: unknown; readonly version?: unknown };
  readonly execution?: { readonly id?: unknown };
  readonly step?: {
    readonly planId?: unknown;
    readonly executionId?: unknown;
    readonly stepId?: unknown;
    readonly attempt?: unknown;
    readonly failures?: unknown;
    readonly openReviews?: unknown;
  };
  /** Criteria that a review found not to be met. */
  readonly refused?: unknown;
  readonly context?: { readonly id?: unknown };
  readonly participant?: { readonly id?: unknown; readonly version?: unknown };
  readonly extension?: { readonly id?: unknown };
  readonly trace?: { readonly id?: unknown };
  readonly assignment?: { readonly id?: unknown; readonly status?: unknown };
  readonly delegation?: { readonly id?: unknown; readonly status?: unknown };
  readonly permissionRequest?: { readonly id?: unknown; readonly status?: unknown };
  readonly changes?: { readonly status?: unknown };
}

const overForAssignments: readonly unknown[] = ['revoked', 'expired'];

/** What an event of another module puts an end to; null where that is nothing. */
export function endingOf({ type, data, createdAt }: EventRow): Ending | null {
  const {
    plan,
    execution,
    step,
    context,
    extension,
    trace,
    assignment,
    delegation,
    permissionRequest,
    changes,
    refused,
    participant,
  } = data as Told;
  switch (type) {
    case 'plan.deleted':
      return { where: 'plan', value: plan?.id, reason: 'the plan was deleted' };
    case 'plan.status.changed': {
      const [from, to] = Array.isArray(changes?.status) ? (changes.status as unknown[]) : [];
      if (to === 'cancelled') return { where: 'plan', value: plan?.id, reason: 'the plan was cancelled' };
      if (to !== 'draft' || from === 'draft') return null;
      return {
        where: 'target',
        value: plan?.id,
        type: 'plan_approval',
        reason: 'the plan was revised',
        before: { version: typeof plan?.version === 'number' ? plan.version : null, at: createdAt },
      };
    }
    case 'plan.execution.cancelled':
    case 'plan.execution.completed':
    case 'plan.execution.failed':
      return { where: 'execution', value: execution?.id, reason: 'the run of the plan has ended' };
    case 'step.unblocked':
    case 'step.skipped': {
      // Of many that are skipped only those that failed before were asked about.
      if (typeof step?.attempt !== 'number' || !(Number(step.failures) > 0 || type === 'step.unblocked')) return null;
      const { planId, attempt } = step;
      return {
        where: 'plan',
        value: planId,
        reason: type === 'step.unblocked' ? 'the step is tried again' : 'the step was skipped',
        step: { kind: 'plan.step', executionId: String(step.executionId), stepId: String(step.stepId), attempt },
      };
    }
    case 'step.reviewed':
    case 'step.review.requested': {
      if (typeof step?.attempt !== 'number') return null;
      const isAnew = type === 'step.review.requested';
      const isOver = step.openReviews === 0 || (Array.isArray(refused) && refused.length > 0);
      const attempt = isAnew ? step.attempt - 1 : step.attempt;
      if (isAnew ? attempt < 1 : !isOver) return null;
      return {
        where: 'plan',
        value: step.planId,
        reason: isAnew ? 'the step is reviewed anew' : 'the step was reviewed',
        step: { kind: 'plan.step.review', executionId: String(step.executionId), stepId: String(step.stepId), attempt },
      };
    }
    case 'context.deleted':
      return { where: 'context', value: context?.id, reason: 'the context was deleted' };
    case 'context.state.changed':
      if (changes?.status !== 'CLOSED' && changes?.status !== 'ARCHIVED') return null;
      return {
        where: 'context',
        value: context?.id,
        reason: `the context was ${changes.status.toLowerCase()}`,
        before: { version: null, at: createdAt },
      };
    case 'context.participant.joined':
    case 'context.participant.refused':
      // Whose first version this is had not asked before.
      if (!(Number(participant?.version) > 1)) return null;
      return {
        where: 'target',
        value: participant?.id,
        type: 'join_request',
        reason: type.endsWith('joined') ? 'it was let in' : 'the request to join was refused or taken back',
      };
    case 'extension.uninstalled':
      return { where: 'target', value: extension?.id, reason: 'the extension was uninstalled' };
    case 'trace.deleted':
      return { where: 'target', value: trace?.id, reason: 'the trace was deleted' };
    case 'role.revoked':
    case 'role.assignment.changed':
      if (!overForAssignments.includes(assignment?.status)) return null;
      return { where: 'target', value: assignment?.id, reason: `the assignment is ${String(assignment?.status)}` };
    case 'role.delegation.revoked':
      return { where: 'target', value: delegation?.id, reason: `the delegation is ${String(delegation?.status)}` };
    case 'permission.request.revoked':
    case 'permission.request.expired':
      return {
        where: 'target',
        value: permissionRequest?.id,
        reason: `the request is ${String(permissionRequest?.status)}`,
      };
    default:
      return null;
  }
}
