import { wasAskedFor } from '#shared/askedConfirm.ts';
import { type Consumer, createConsumer } from '#shared/consumer.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Commands } from './commands.ts';
import { planEvent } from './events.ts';
import type { PlanRow, PlanStatusValue } from './rows.ts';
import type { Runs } from './runs.ts';
import { lockPlan, upsertPlans } from './store.ts';

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
  { commands, runs }: { readonly commands: Commands; readonly runs: Runs },
) {
  /** A repeat changes nothing: the plan is then no longer where the step begins. */
  async function movePlan(event: EventRow, confirm: ConfirmValue): Promise<void> {
    await commands.runAs(event.tenantId, event.actor, async (tx) => {
      const plan = await lockPlan(tx, event.tenantId, confirm.targetId);
      const change = plan && decide(plan, event, confirm);
      if (!plan || !change) return { response: null };
      const row: PlanRow = {
        ...plan,
        ...change,
        version: plan.version + 1,
        updatedAt: new Date().toISOString(),
        updatedBy: event.actor,
      };
      await upsertPlans(tx, [row], 'upsert');
      return {
        response: null,
        events: [planEvent('plan.status.changed', row, { status: [plan.status, row.status], confirmId: confirm.id })],
      };
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

  async function heard(event: EventRow): Promise<void> {
    if (event.type === 'approval.refused') return refused(event);
    if (event.type !== 'confirm.created' && event.type !== 'confirm.resolved') return;
    const confirm = event.data['confirm'] as ConfirmValue | undefined;
    if (confirm?.targetType !== 'plan' || !isId(confirm.targetId)) return;
    if (confirm.reference?.kind === 'plan.step') {
      if (event.type === 'confirm.resolved' && wasAskedFor(confirm)) await resolveStep(event, confirm);
    } else if (confirm.reference?.kind === 'plan.step.review') {
      if (event.type === 'confirm.resolved' && wasAskedFor(confirm)) await answerReviews(event, confirm);
    } else if (decidesPlan(confirm)) await movePlan(event, confirm);
  }

  return {
    heard,
    follow(): Promise<Consumer> {
      return createConsumer({
        name: 'plan.confirms',
        module: 'confirm',
        types: ['confirm.created', 'confirm.resolved', 'approval.refused'],
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('confirm'),
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events) {
          for (const event of events) await heard(event);
        },
      });
    },
  };
}

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
