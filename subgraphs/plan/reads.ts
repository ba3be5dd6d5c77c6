import { createKeyedReader } from '#shared/keyedReader.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { PlanDependencyRow, PlanRow, PlanStepRow } from './rows.ts';
import { dependencyColumns, planColumns, stepColumns } from './store.ts';

export interface PlanKey {
  readonly tenantId: string;
  readonly id: string;
}

interface ListRow<Row> {
  /** Null for none. */
  readonly rows: readonly Row[] | null;
}

export type PlanReads = ReturnType<typeof createPlanReads>;

/** Plans and their networks by id. What concurrent requests ask for shares a statement, and a list is one value of it. */
export function createPlanReads({ sql, keyedSql = sql }: ModuleRuntime) {
  const parametersOf = (keys: readonly PlanKey[]) => [keys.map(({ tenantId }) => tenantId), keys.map(({ id }) => id)];
  const keys = 'unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS k(tenant_id, plan_id, ord)';
  const list = <Row>(from: string, columns: string, place: string) =>
    createKeyedReader<PlanKey, ListRow<Row>>(keyedSql, {
      text: `SELECT k.ord::int AS ord, (SELECT json_agg(row_to_json(x) ORDER BY x.place) FROM (SELECT ${columns} FROM ${from}
        WHERE ${place}.tenant_id = k.tenant_id AND ${place}.plan_id = k.plan_id) x) AS rows FROM ${keys}`,
      parametersOf,
    });
  return {
    plan: createKeyedReader<PlanKey, PlanRow>(keyedSql, {
      text: `SELECT ${planColumns}, k.ord::int AS ord FROM ${keys} JOIN plan.plan p ON p.tenant_id = k.tenant_id AND p.id = k.plan_id`,
      parametersOf,
    }),
    steps: list<PlanStepRow>('plan.step s', stepColumns, 's'),
    dependencies: list<PlanDependencyRow>('plan.dependency d', dependencyColumns, 'd'),
  };
}
