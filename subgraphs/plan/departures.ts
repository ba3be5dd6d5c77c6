import { participates } from '#shared/contextAudience.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { Sql } from '#shared/sql.ts';
import type { Commands } from './commands.ts';
import { planEvent, stepEvents } from './events.ts';
import type { PlanRow, PlanStepExecutionRow } from './rows.ts';
import { isOpen } from './runEnds.ts';
import { changeRun, lockRun, mirrorSteps } from './runStore.ts';
import { lockPlan, stepExecutionColumns, upsertPlans } from './store.ts';

/** Somebody takes part in a context no longer. */
export interface Departure {
  readonly tenantId: string;
  readonly contextId: string;
  readonly agentId: string;
}

/** A plan in which somebody who has left holds steps, or is named for some. */
interface Concerned {
  readonly tenantId: string;
  readonly agentId: string;
  readonly planId: string;
  readonly executionId: string | null;
}

/** Who has come back meanwhile goes on with what it held. */
const concernedText = `
SELECT DISTINCT p.tenant_id AS "tenantId", k.agent_id AS "agentId", p.id AS "planId", e.id AS "executionId"
FROM unnest($1::text[], $2::uuid[], $3::text[]) AS k(tenant_id, context_id, agent_id)
JOIN plan.plan p ON p.tenant_id = k.tenant_id AND p.context_id = k.context_id AND p.status NOT IN ('completed', 'cancelled')
LEFT JOIN plan.execution e ON e.tenant_id = p.tenant_id AND e.plan_id = p.id AND e.status IN ('RUNNING', 'PAUSED')
WHERE NOT EXISTS (SELECT FROM plan.replica r WHERE r.tenant_id = k.tenant_id AND r.type = 'ContextParticipant'
    AND r.detail->>'agentId' = k.agent_id AND r.detail->>'contextId' = k.context_id::text AND ${participates('r.status')})
  AND (EXISTS (SELECT FROM plan.step s WHERE s.tenant_id = p.tenant_id AND s.plan_id = p.id
      AND s.assigned_agents @> ARRAY[k.agent_id] AND s.status NOT IN ('completed', 'skipped'))
    OR EXISTS (SELECT FROM plan.step_execution t WHERE t.tenant_id = e.tenant_id AND t.execution_id = e.id
      AND t.status = 'leased' AND k.agent_id IN (t.lease_owner, t.lease_subject)))
ORDER BY p.id, k.agent_id`;

const unassignText = `
UPDATE plan.step s SET assigned_agents = array_remove(s.assigned_agents, $3::text)
WHERE s.tenant_id = $1 AND s.plan_id = $2 AND s.assigned_agents @> ARRAY[$3::text] AND s.status NOT IN ('completed', 'skipped') RETURNING s.id`;

const openText = `
UPDATE plan.step_execution t SET agents = array_remove(t.agents, $3::text)
WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.agents @> ARRAY[$3::text] AND t.status NOT IN ('completed', 'skipped')`;

/** What was reported stays: the next holder goes on from there. The epoch rises, so that a late completion is refused. */
const releaseText = `
UPDATE plan.step_execution t SET status = 'pending', lease_epoch = lease_epoch + 1, lease_owner = NULL, lease_subject = NULL, lease_until = NULL
WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.status = 'leased' AND $3::text IN (t.lease_owner, t.lease_subject) RETURNING ${stepExecutionColumns}`;

async function handOver(commands: Commands, { tenantId, agentId, planId, executionId }: Concerned): Promise<void> {
  await commands.runAs(tenantId, 'system', async (tx) => {
    const write = async <Row>(text: string, parameters: readonly string[]): Promise<readonly Row[]> =>
      (await tx.unsafe(text, parameters as string[], { prepare: true })) as unknown as Row[];
    const locked = executionId === null ? null : await lockRun(tx, tenantId, executionId);
    const plan = await lockPlan(tx, tenantId, planId);
    if (!plan) return { response: null };
    const events: NewEvent[] = [];
    const unassigned = (await write<{ id: string }>(unassignText, [tenantId, planId, agentId])).map(({ id }) => id);
    if (unassigned.length > 0) {
      const moved: PlanRow = {
        ...plan,
        version: plan.version + 1,
        updatedAt: new Date().toISOString(),
        updatedBy: 'system',
      };
      await upsertPlans(tx, [moved], 'upsert');
      events.push(planEvent('plan.updated', moved, { unassigned: { agentId, stepIds: unassigned } }));
    }
    let released: readonly PlanStepExecutionRow[] = [];
    if (locked && isOpen(locked)) {
      await write(openText, [tenantId, locked.id, agentId]);
      released = await write<PlanStepExecutionRow>(releaseText, [tenantId, locked.id, agentId]);
    }
    if (locked && released.length > 0) {
      await mirrorSteps(tx, released);
      const run = await changeRun(tx, locked, 'running_steps = running_steps - $3', [released.length]);
      const detail = { agentId, reason: 'its holder has left the context' };
      events.push(...released.flatMap((step) => stepEvents('step.lease.released', step, run, detail)));
    }
    if (events.length === 0) return { response: null };
    const detail = { agent: agentId, unassigned, released: released.map(({ stepId }) => stepId) };
    return {
      response: null,
      events,
      audit: [{ action: 'plan.handOver', resource: 'Plan', resourceId: planId, detail }],
    };
  });
}

/**
 * Steps that those who have left a context hold in its plans go back to be claimed by others, and where they were named
 * for steps that are not done they are named no longer: those are for the others named, else for anyone who can do them.
 */
export async function handOverSteps(
  { sql, commands }: { readonly sql: Sql; readonly commands: Commands },
  departures: readonly Departure[],
): Promise<void> {
  if (departures.length === 0) return;
  const concerned = (await sql.unsafe(
    concernedText,
    [
      departures.map(({ tenantId }) => tenantId),
      departures.map(({ contextId }) => contextId),
      departures.map(({ agentId }) => agentId),
    ],
    { prepare: true },
  )) as unknown as Concerned[];
  for (const each of concerned) await handOver(commands, each);
}
