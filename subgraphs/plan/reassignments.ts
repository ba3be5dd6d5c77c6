import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import type { CallOptions, Commands } from './commands.ts';
import { type AgentRequirement, canDo, type StaffedAgent } from './dispatch/index.ts';
import { planEvent, stepEvents } from './events.ts';
import * as inputs from './inputs.ts';
import { unknownPlan } from './planChanges.ts';
import type { PlanRow } from './rows.ts';
import { isOpen } from './runEnds.ts';
import { findPool, requireMember } from './runPool.ts';
import { changeRun, changeRunStep, findRequirement, findRunStep, lockRun } from './runStore.ts';
import { lockPlan, upsertPlans } from './store.ts';

/** Gives steps to other agents, also while a run goes: who held the lease loses it. */
export function createReassignments({ commands }: { readonly commands: Commands }) {
  return {
    /**
     * With the state transferred the next holder goes on from the progress and the state that were reported last.
     * @throws {NOT_FOUND} {INVALID_STATE} {AGENT_NOT_IN_POOL} {RESOURCE_ALLOCATION_FAILED} where an agent of the run's pool could not do it.
     */
    reassign(
      scope: RequestScope,
      {
        planId,
        stepId,
        agentId,
        transferState,
      }: {
        readonly planId: string;
        readonly stepId: string;
        readonly agentId: string;
        readonly transferState: boolean;
      },
      options: CallOptions,
    ) {
      const agent = parseInput(inputs.agentId, agentId, ['agentId']);
      const reason = options.reason == null ? null : parseInput(inputs.reason, options.reason, ['reason']);
      const call = {
        operation: 'reassignTask',
        // As calls were kept before there was a choice.
        input: { planId, stepId, agent, reason, ...(transferState ? { transferState } : {}) },
        idempotencyKey: options.idempotencyKey,
      };
      return commands.run(scope, call, async (tx) => {
        const { tenantId } = scope.principal;
        if (!isId(planId)) throw unknownPlan();
        await requireVisible(tx, scope.principal, 'plan', planId);
        if (!isId(stepId)) throw new PlatformError('NOT_FOUND', 'no such step in this plan', { path: ['stepId'] });
        const [active] = (await tx.unsafe(
          `SELECT id FROM plan.execution WHERE tenant_id = $1 AND plan_id = $2 AND status IN ('RUNNING', 'PAUSED')`,
          [tenantId, planId],
          { prepare: true },
        )) as unknown as { id: string }[];
        const run = active ? await lockRun(tx, tenantId, active.id) : null;
        const plan = await lockPlan(tx, tenantId, planId);
        if (!plan) throw unknownPlan();
        const changed = await tx.unsafe(
          `UPDATE plan.step SET assigned_agents = ARRAY[$4] WHERE tenant_id = $1 AND plan_id = $2 AND id = $3 AND type <> 'COMPOSITE' AND status NOT IN ('completed', 'skipped') RETURNING id`,
          [tenantId, planId, stepId, agent],
          { prepare: true },
        );
        if (changed.length === 0)
          throw new PlatformError('NOT_FOUND', 'no such open step in this plan', { path: ['stepId'] });
        const moved: PlanRow = {
          ...plan,
          version: plan.version + 1,
          updatedAt: new Date().toISOString(),
          updatedBy: scope.principal.subject,
        };
        await upsertPlans(tx, [moved], 'upsert');
        const events = [planEvent('plan.updated', moved, { stepId, assignedAgents: [agent], reason })];
        const step = run && isOpen(run) ? await findRunStep(tx, run, stepId) : null;
        if (run && step) {
          const pool = run.policy.pooled === true ? await findPool(tx, run) : null;
          if (pool) requireAble(requireMember(pool, agent), await findRequirement(tx, step));
          const held = step.status === 'leased' && step.leaseOwner !== agent;
          const kept = transferState || step.status === 'finishing' ? '' : ', progress = 0, state = NULL';
          const after = await changeRunStep(
            tx,
            run,
            stepId,
            held
              ? `agents = ARRAY[$4], status = 'pending', lease_epoch = lease_epoch + 1, lease_owner = NULL, lease_subject = NULL, lease_until = NULL${kept}`
              : step.status === 'leased'
                ? 'agents = ARRAY[$4]'
                : `agents = ARRAY[$4]${kept}`,
            [agent],
          );
          const current = held ? await changeRun(tx, run, 'running_steps = running_steps - 1') : run;
          events.push(...stepEvents('step.reassigned', after, current, { agentId: agent, reason, transferState }));
        }
        return {
          response: { planId },
          events,
          audit: [{ action: 'plan.reassignTask', resource: 'Plan', resourceId: planId, detail: { stepId, agent } }],
        };
      });
    },
  };
}

/** @throws {RESOURCE_ALLOCATION_FAILED} where the step would wait for the agent for ever. */
function requireAble(agent: StaffedAgent, requirement: AgentRequirement): void {
  if (agent.capacity > 0 && canDo(requirement, agent)) return;
  const missing = requirement.capabilities.filter((one) => !agent.capabilities.includes(one));
  throw new PlatformError('RESOURCE_ALLOCATION_FAILED', `${agent.agentId} of the run's pool cannot do this step`, {
    path: ['agentId'],
    details: { agentId: agent.agentId, missing },
  });
}
