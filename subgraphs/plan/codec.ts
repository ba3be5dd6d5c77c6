import { ConcurrentInsert, type ProtocolCodec, type ProtocolDocument } from '#shared/codec.ts';
import type { Principal } from '#shared/principal.ts';
import type { PlanDocument } from '../../schema/protocol/index.ts';
import { emptyDefinition } from './definition.ts';
import { toDocument } from './document.ts';
import { planEvent } from './events.ts';
import { requireNetwork, summarize, toDependency, toStep } from './network.ts';
import { observePlan } from './observability.ts';
import type { PlanRow, PlanStatusValue, StepStatusValue } from './rows.ts';
import { findDependencies, findPlans, findSteps, insertDependencies, insertSteps, upsertPlans } from './store.ts';

/** Frozen plans in and out. */
export const planCodec: ProtocolCodec = {
  async read(sql, tenantId, ids) {
    const rows = await findPlans(sql, tenantId, ids);
    // Imports ask about ids that are new.
    if (rows.length === 0) return new Map();
    const [steps, dependencies] = await Promise.all([
      findSteps(sql, tenantId, ids),
      findDependencies(sql, tenantId, ids),
    ]);
    const stepsOf = Map.groupBy(steps, ({ planId }) => planId);
    const dependenciesOf = Map.groupBy(dependencies, ({ planId }) => planId);
    return new Map(
      rows.map((row) => [row.id, toDocument(row, stepsOf.get(row.id) ?? [], dependenciesOf.get(row.id) ?? [])]),
    );
  },

  async write(tx, principal, documents) {
    const imported = documents.map((document) => toRows(document as unknown as PlanDocument, principal));
    try {
      await upsertPlans(
        tx,
        imported.map(({ plan }) => plan),
        'insert',
      );
    } catch (error) {
      // Someone stored one of the ids since the caller looked.
      if (typeof error === 'object' && error !== null && 'code' in error && error.code === '23505')
        throw new ConcurrentInsert();
      throw error;
    }
    await insertSteps(
      tx,
      imported.flatMap(({ steps }) => steps),
    );
    await insertDependencies(
      tx,
      imported.flatMap(({ dependencies }) => dependencies),
    );
    return imported.map(({ plan, dependencies }) => ({
      tenantId: principal.tenantId,
      actor: principal.subject,
      events: [planEvent('plan.created', plan, { imported: true, dependencyCount: dependencies.length })],
      audit: [{ action: 'plan.import', resource: 'Plan', resourceId: plan.id }],
    }));
  },

  async idsOfContext(sql, tenantId, contextId) {
    const rows = await sql<
      { id: string }[]
    >`SELECT id FROM plan.plan WHERE tenant_id = ${tenantId} AND context_id = ${contextId} ORDER BY ordinal`;
    return rows.map((row) => row.id);
  },

  observe: observePlan,
};

/** @throws {CYCLIC_DEPENDENCY} {PLAN_CREATION_FAILED}: the frozen form does not say that steps have an order. */
function toRows(document: PlanDocument, principal: Principal) {
  const given = document as unknown as ProtocolDocument;
  const of = { tenantId: principal.tenantId, planId: document.plan_id };
  const now = new Date().toISOString();
  const steps = document.steps.map((step, place) => ({
    ...toStep(
      {
        id: step.step_id,
        description: step.description,
        agentRole: step.agent_role ?? null,
        orderIndex: step.order_index ?? null,
      },
      { ...of, place },
    ),
    status: step.status as StepStatusValue,
    progress: step.status === 'completed' ? 1 : 0,
    protocol: step.dependencies === undefined ? null : { hasDependencies: true },
  }));
  const dependencies = document.steps
    .flatMap((step) => (step.dependencies ?? []).map((sourceId) => ({ sourceId, targetId: step.step_id })))
    .map((edge, place) => toDependency(edge, { ...of, place }));
  requireNetwork(steps, dependencies, ['steps']);
  const plan: PlanRow = {
    tenantId: principal.tenantId,
    id: document.plan_id,
    contextId: document.context_id,
    title: document.title,
    objective: document.objective,
    status: document.status as PlanStatusValue,
    type: 'SEQUENTIAL',
    priority: 'MEDIUM',
    requiresApproval: false,
    confirmId: null,
    statusReason: null,
    replans: 0,
    definition: emptyDefinition,
    summary: summarize(emptyDefinition, steps, dependencies),
    schedule: null,
    protocol: {
      imported: true,
      meta: given['meta'],
      ...(given['trace'] === undefined ? {} : { trace: given['trace'] }),
      ...(given['events'] === undefined ? {} : { events: given['events'] }),
    },
    stepCount: steps.length,
    archivedAt: null,
    version: 1,
    createdAt: now,
    createdBy: principal.subject,
    updatedAt: now,
    updatedBy: principal.subject,
  };
  return { plan, steps, dependencies };
}
