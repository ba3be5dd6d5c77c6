import { wasAskedFor } from '#shared/askedConfirm.ts';
import { type Consumer, createConsumer } from '#shared/consumer.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { Change } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { type ApprovalRules, findApprovalRule, templateTypes } from './approvalRules.ts';
import type { Commands } from './commands.ts';
import { planEvent } from './events.ts';
import type { PlanRow, PlanStatusValue } from './rows.ts';
import type { Runs } from './runs.ts';
import { lockPlan, lockPlans, upsertPlans } from './store.ts';

interface ConfirmValue {
  /** The `approval.requested` that it was opened for; null where a client opened it. */
  readonly requestEventId?: string | null;
  readonly id: string;
  readonly targetType: string;
  readonly targetId: string;
  readonly status: string;
  /** Null of one that came as a document. */
  readonly confirmationType?: string | null;
  /** Why it came to its end. */
  readonly resolution?: string | null;
  readonly reference?: {
    readonly kind?: unknown;
    readonly executionId?: unknown;
    readonly stepId?: unknown;
    readonly attempt?: unknown;
  } | null;
}

/** What decides about a plan itself; Confirms of other types are about a task, a risk or a resource of it. */
const decidesPlan = ({ confirmationType = null }: ConfirmValue): boolean =>
  confirmationType === null || confirmationType === 'plan_approval';

/** Outcomes that a run or a plan can no longer take: it has gone on meanwhile. */
const late = new Set(['NOT_FOUND', 'INVALID_STATE', 'EXECUTION_NOT_ACTIVE']);

/** Follows the confirm module: what people decide about plans and blocked steps. */
export function createConfirms(
  runtime: ModuleRuntime,
  { commands, runs, rules }: { readonly commands: Commands; readonly runs: Runs; readonly rules: ApprovalRules },
) {
  /**
   * Moves plans along with what their confirms tell, one after the other in one transaction. A repeat changes nothing: the plan is
   * then no longer where the step begins.
   */
  async function movePlans(moves: readonly PlanMove[]): Promise<void> {
    if (moves.length === 0) return;
    const keyOf = (tenantId: string, planId: string) => `${tenantId}/${planId}`;
    const keys = moves.map(({ event: { tenantId }, confirm: { targetId: id } }) => ({ tenantId, id }));
    await commands.runGroup(async (tx) => {
      const plans = new Map((await lockPlans(tx, keys)).map((plan) => [keyOf(plan.tenantId, plan.id), plan]));
      const moved = new Map<string, PlanRow>();
      const changes: Change[] = [];
      for (const { event, confirm } of moves) {
        const { tenantId, actor } = event;
        const key = keyOf(tenantId, confirm.targetId);
        const plan = plans.get(key);
        if (!plan) continue;
        const isRuled = isBroughtIn(event) && (await findApprovalRule(tx, plan, null)) !== null;
        const change = decide(isRuled ? { ...plan, requiresApproval: true } : plan, event, confirm);
        if (!change) continue;
        const row: PlanRow = {
          ...{ ...plan, ...change },
          ...{ version: plan.version + 1, updatedAt: new Date().toISOString(), updatedBy: actor },
        };
        plans.set(key, row);
        moved.set(key, row);
        const detail = { status: [plan.status, row.status], confirmId: confirm.id };
        changes.push({ tenantId, actor, events: [planEvent('plan.status.changed', row, detail)] });
      }
      if (moved.size > 0) await upsertPlans(tx, [...moved.values()], 'upsert');
      return changes;
    });
  }

  /** Nobody can be asked: the plan goes back to its author, with why. */
  async function refused(event: EventRow): Promise<void> {
    const { approval, message } = event.data as {
      readonly approval?: { readonly targetType?: unknown; readonly targetId?: unknown; readonly reference?: unknown };
      readonly message?: unknown;
    };
    const kind = (approval?.reference as { readonly kind?: unknown } | null | undefined)?.kind;
    if (approval?.targetType !== 'plan' || !isId(approval.targetId) || kind !== 'plan') return;
    const planId = approval.targetId;
    await commands.runAs(event.tenantId, event.actor, async (tx) => {
      const plan = await lockPlan(tx, event.tenantId, planId);
      if (plan?.status !== 'proposed' || plan.confirmId !== null) return { response: null };
      const row: PlanRow = {
        ...plan,
        status: 'draft',
        statusReason: String(message ?? 'nobody can be asked for approval'),
        version: plan.version + 1,
        updatedAt: new Date().toISOString(),
        updatedBy: event.actor,
      };
      await upsertPlans(tx, [row], 'upsert');
      return { response: null, events: [planEvent('plan.status.changed', row, { status: [plan.status, row.status] })] };
    });
  }

  async function resolveStep(event: EventRow, { reference, status, resolution: reason }: ConfirmValue): Promise<void> {
    const { executionId, stepId, attempt } = reference ?? {};
    if (!isId(executionId) || !isId(stepId)) return;
    // Of Confirms from before it was told nobody knows.
    const blockedAt = typeof attempt === 'number' ? attempt : null;
    try {
      await commands.runAs(event.tenantId, event.actor, async (tx) => ({
        response: null,
        ...(await runs.resolve(
          tx,
          { tenantId: event.tenantId, executionId, stepId, actor: event.actor, blockedAt },
          { resolution: status === 'approved' ? 'RETRY' : 'FAIL', reason: reason ?? null },
        )),
      }));
    } catch (error) {
      if (!(error instanceof PlatformError) || !late.has(error.code)) throw error;
      runtime.logger.info({ executionId, stepId, code: error.code }, 'an outcome came too late for its step');
    }
  }

  /** A repeat finds nothing to be reviewed. What was cancelled, or has expired, has found nothing: the step waits on. */
  async function answerReviews(event: EventRow, confirm: ConfirmValue): Promise<void> {
    const { executionId, stepId, attempt } = confirm.reference ?? {};
    if (!isId(executionId) || !isId(stepId) || typeof attempt !== 'number') return;
    if (confirm.status !== 'approved' && confirm.status !== 'rejected') return;
    const met = confirm.status === 'approved';
    const note = confirm.resolution?.slice(0, 2_000) ?? null;
    try {
      await commands.runAs(event.tenantId, event.actor, async (tx) => ({
        response: null,
        ...(await runs.answerReviews(
          tx,
          { tenantId: event.tenantId, executionId, stepId, attempt },
          { met, note, by: event.actor },
        )),
      }));
    } catch (error) {
      if (!(error instanceof PlatformError) || !(late.has(error.code) || error.code === 'SELF_APPROVAL_FORBIDDEN'))
        throw error;
      runtime.logger.info({ executionId, stepId, code: error.code }, 'a review came too late for its step');
    }
  }

  async function heardAlone(event: EventRow): Promise<void> {
    if (event.type === 'approval.refused') return refused(event);
    if (templateTypes.some((type) => type === event.type)) return rules.heard(event);
    const confirm = stepConfirmOf(event);
    if (confirm === null || event.type !== 'confirm.resolved' || !wasAskedFor(confirm)) return;
    await (confirm.reference?.kind === 'plan.step' ? resolveStep : answerReviews)(event, confirm);
  }

  /** In their order; what moves plans and stands together is done together. */
  async function heard(...events: readonly EventRow[]): Promise<void> {
    let moves: PlanMove[] = [];
    for (const event of events) {
      const move = planMoveOf(event);
      if (move) moves.push(move);
      else {
        await movePlans(moves);
        moves = [];
        await heardAlone(event);
      }
    }
    await movePlans(moves);
  }

  return {
    heard,
    follow(): Promise<Consumer> {
      return createConsumer({
        name: 'plan.confirms',
        module: 'confirm',
        types: ['confirm.created', 'confirm.resolved', 'approval.refused', ...templateTypes],
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('confirm'),
        bus: runtime.bus,
        logger: runtime.logger,
        handle: (events) => heard(...events),
      });
    },
  };
}

/** What a confirm tells of the plan that it decides about. */
interface PlanMove {
  readonly event: EventRow;
  readonly confirm: ConfirmValue;
}

const stepKinds: readonly unknown[] = ['plan.step', 'plan.step.review'];

function confirmOf({ type, data }: EventRow): ConfirmValue | null {
  if (type !== 'confirm.created' && type !== 'confirm.resolved') return null;
  const confirm = data['confirm'] as ConfirmValue | undefined;
  return confirm?.targetType === 'plan' && isId(confirm.targetId) ? confirm : null;
}

function planMoveOf(event: EventRow): PlanMove | null {
  const confirm = confirmOf(event);
  if (confirm === null || stepKinds.includes(confirm.reference?.kind) || !decidesPlan(confirm)) return null;
  return { event, confirm };
}

function stepConfirmOf(event: EventRow): ConfirmValue | null {
  const confirm = confirmOf(event);
  return stepKinds.includes(confirm?.reference?.kind) ? confirm : null;
}

/** A document that is to decide about the plan. */
const isBroughtIn = ({ type, data }: EventRow) => type === 'confirm.created' && data['imported'] === true;

function decide(plan: PlanRow, { type, data }: EventRow, confirm: ConfirmValue): Partial<PlanRow> | null {
  if (type === 'confirm.created') {
    if (confirm.status !== 'pending') return null;
    // A document may be what a proposed plan waits for; who brings it in proposes nobody's draft, nor chooses who decides
    // about a plan for which people are asked here.
    const isImported = data['imported'] === true;
    if (plan.status !== 'proposed' && (plan.status !== 'draft' || isImported)) return null;
    if (isImported && plan.requiresApproval) return null;
    // The first that is open decides.
    if (plan.confirmId !== null) return null;
    return { status: 'proposed', confirmId: confirm.id };
  }
  if (plan.confirmId !== confirm.id) return null;
  if (plan.status !== 'proposed') return { confirmId: null };
  const status: PlanStatusValue = confirm.status === 'approved' ? 'approved' : 'draft';
  return { status, confirmId: null, statusReason: confirm.resolution ?? null };
}
