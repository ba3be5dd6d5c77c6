import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { requireVersion } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import type { Call, Commands } from './commands.ts';
import { planEvent } from './events.ts';
import type { PlanRow } from './rows.ts';
import { lockPlan, upsertPlans } from './store.ts';

export interface WriteOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

/** Who changes a plan: a request's principal, or the system. */
export interface Author {
  readonly principal: { readonly subject: string };
}

/** The next version of a plan. */
export function touch(plan: PlanRow, author: Author, change: Partial<PlanRow>): PlanRow {
  return {
    ...plan,
    ...change,
    version: plan.version + 1,
    updatedAt: new Date().toISOString(),
    updatedBy: author.principal.subject,
  };
}

/** @throws {NOT_FOUND} {VERSION_CONFLICT} */
export async function requirePlan(tx: SqlTransaction, scope: RequestScope, planId: string, expected?: number | null) {
  const [plan] = isId(planId)
    ? await Promise.all([
        lockPlan(tx, scope.principal.tenantId, planId),
        requireVisible(tx, scope.principal, 'plan', planId),
      ])
    : [null];
  if (!plan) throw unknownPlan();
  requireVersion(expected, plan.version);
  return plan;
}

export type PlanChanges = ReturnType<typeof createPlanChanges>;

type Decide = (
  plan: PlanRow,
  tx: SqlTransaction,
) => Promise<{
  readonly row: PlanRow;
  readonly type: string;
  readonly changes?: Readonly<Record<string, unknown>>;
  readonly events?: readonly NewEvent[];
}>;

export function createPlanChanges(commands: Commands) {
  /** One change of a plan under its lock. */
  function change(
    scope: RequestScope,
    planId: string,
    { operation, input, expectedVersion, idempotencyKey }: WriteOptions & Pick<Call, 'operation' | 'input'>,
    decide: Decide,
  ): Promise<string> {
    const said = { planId, input, expectedVersion: expectedVersion ?? null };
    return changeBy(scope, planId, { call: { operation, input: said, idempotencyKey }, expectedVersion }, decide);
  }

  /** The same for a call that is told apart by what it says itself. */
  function changeBy(
    scope: RequestScope,
    planId: string,
    { call, expectedVersion }: Pick<WriteOptions, 'expectedVersion'> & { readonly call: Call },
    decide: Decide,
  ): Promise<string> {
    const { operation } = call;
    return commands
      .run(scope, call, async (tx) => {
        const plan = await requirePlan(tx, scope, planId, expectedVersion);
        const { row, type, changes = {}, events = [] } = await decide(plan, tx);
        await upsertPlans(tx, [row], 'upsert');
        return {
          response: { planId },
          events: [planEvent(type, row, { status: [plan.status, row.status], operation, ...changes }), ...events],
          audit: [{ action: `plan.${operation}`, resource: 'Plan', resourceId: planId }],
        };
      })
      .then((response) => response.planId);
  }

  return { change, changeBy };
}

export function unknownPlan(): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such plan', { path: ['planId'] });
}
