import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { findIdempotentResponse } from '#shared/idempotency.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import { type AdaptInput, basesOf, isUnstarted, type Loaded, remaining } from './adaptationBases.ts';
import { changeRows } from './adaptedRows.ts';
import { type AdaptationOption, type AdaptTask, costOf } from './adaptThread.ts';
import { scoreRisks } from './analysis/index.ts';
import { type Commands, toIdempotentCall } from './commands.ts';
import { keepPreferences } from './dispatch/index.ts';
import { planEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { summarize } from './network.ts';
import { compareNetworks } from './networkChange.ts';
import { unknownPlan } from './planChanges.ts';
import { createPlanningThreads } from './planningThreads.ts';
import { findPreferences, toPlanProblem } from './planProblem.ts';
import { scheduledMakespan } from './planThread.ts';
import { calendarAge, calendarsOfRun, capacitiesOf } from './planTimes.ts';
import type { PlanRow } from './rows.ts';
import { isOpen } from './runEnds.ts';
import { lockRun, recountSuccessors } from './runStore.ts';
import type { Runs } from './runs.ts';
import { changeNetwork, findDependencies, findPlans, findSteps, lockPlan, upsertPlans } from './store.ts';

const thread = new URL('./adaptThread.ts', import.meta.url);

export interface Adaptation {
  readonly planId: string;
  /** Null, as `chosen`, where an earlier call with the same key has applied what it chose. */
  readonly options: readonly (AdaptationOption & { readonly withinLimits: boolean })[] | null;
  readonly chosen: AdaptationOption | null;
}

const callOf = ({ idempotencyKey, ...input }: AdaptInput) => ({ operation: 'adaptPlan', input, idempotencyKey });

/** Changes a plan to what has become of it, by the best of the options that rescheduling finds. */
export function createAdaptations(
  runtime: ModuleRuntime,
  { commands, runs }: { readonly commands: Commands; readonly runs: Runs },
) {
  const { sql } = runtime;
  const planning = createPlanningThreads(runtime);

  async function load(db: Parameters<typeof findSteps>[0], plan: PlanRow): Promise<Loaded> {
    const [steps, dependencies] = await Promise.all([
      findSteps(db, plan.tenantId, [plan.id]),
      findDependencies(db, plan.tenantId, [plan.id]),
    ]);
    return { plan, steps, dependencies };
  }

  /** The option written into the plan, and into its run where it has one. */
  async function apply(scope: RequestScope, input: AdaptInput, version: number, chosen: AdaptationOption) {
    const { tenantId, subject } = scope.principal;
    await commands.run(scope, callOf(input), async (tx) => {
      // Locks are taken in one order: the run's before the plan's.
      const [active] = (await tx.unsafe(
        `SELECT id FROM plan.execution WHERE tenant_id = $1 AND plan_id = $2 AND status IN ('RUNNING', 'PAUSED')`,
        [tenantId, input.planId],
        { prepare: true },
      )) as unknown as { id: string }[];
      const run = active ? await lockRun(tx, tenantId, active.id) : null;
      const plan = await lockPlan(tx, tenantId, input.planId);
      if (!plan) throw unknownPlan();
      requireVersion(version, plan.version);
      const before = await load(tx, plan);
      const { definition, steps, dependencies } = changeRows(before, input, chosen);
      const started = run && isOpen(run) ? Math.max(0, Date.parse(run.now) - Date.parse(run.startedAt)) : 0;
      const schedule = {
        ...(started > 0 ? plan.schedule : {}),
        ...Object.fromEntries(chosen.schedule.map(({ stepId, startMs }) => [stepId, started + startMs])),
      };
      const row: PlanRow = {
        ...plan,
        definition,
        schedule,
        summary: summarize(definition, steps, dependencies, { algorithm: `adaptation_${chosen.kind}`, timeMs: 0 }),
        version: plan.version + 1,
        updatedAt: new Date().toISOString(),
        updatedBy: subject,
      };
      await upsertPlans(tx, [row], 'upsert');
      const { kind, target, parameters } = chosen;
      const audit = [{ action: 'plan.adaptPlan', resource: 'Plan', resourceId: plan.id }];
      const events: NewEvent[] = [
        planEvent('plan.updated', row, { adapted: { trigger: input.trigger, kind, target, parameters } }),
      ];
      if (run === null) await changeNetwork(tx, row, compareNetworks(before, { steps, dependencies }));
      else {
        const placeOf = new Map(
          [...chosen.schedule]
            .sort((left, right) => left.startMs - right.startMs)
            .map(({ stepId }, place) => [stepId, place]),
        );
        const begun = Date.parse(run.startedAt);
        const problem = toPlanProblem(definition, steps, dependencies);
        const rank = keepPreferences(
          Int32Array.from(problem.steps, ({ id }) => placeOf.get(id) ?? placeOf.size),
          findPreferences(problem, steps, dependencies),
        );
        const rows = steps.map(({ id, durationMs, assignedAgents, details }, at) => ({
          ...{ id, durationMs, agents: assignedAgents, details },
          place: placeOf.has(id) ? rank[at] : null,
        }));
        // What has started meanwhile stays as it is.
        await tx.unsafe(
          `WITH given AS (SELECT * FROM json_to_recordset($1::text::json) AS x(id uuid, "durationMs" bigint, agents text[], details jsonb, place int)),
             ran AS (UPDATE plan.step_execution t SET duration_ms = x."durationMs", agents = x.agents, rank = COALESCE(x.place, t.rank)
               FROM given x WHERE t.tenant_id = $2 AND t.execution_id = $3 AND t.step_id = x.id AND t.status IN ('pending', 'blocked') RETURNING t.step_id)
           UPDATE plan.step s SET duration_ms = x."durationMs", assigned_agents = x.agents, details = x.details
           FROM given x JOIN ran ON ran.step_id = x.id WHERE s.tenant_id = $2 AND s.plan_id = $4 AND s.id = x.id`,
          [JSON.stringify(rows), tenantId, run.id, plan.id],
          { prepare: true },
        );
        const lags = new Map(before.dependencies.map(({ id, lagMs }) => [id, lagMs]));
        for (const { id, sourceId, lagMs } of dependencies) {
          if (lags.get(id) === lagMs) continue;
          await tx.unsafe(
            `UPDATE plan.dependency SET lag_ms = $4 WHERE tenant_id = $1 AND plan_id = $2 AND id = $3`,
            [tenantId, plan.id, id, lagMs],
            { prepare: true },
          );
          await recountSuccessors(tx, run, [sourceId]);
        }
        await tx.unsafe(
          `UPDATE plan.execution SET policy = policy || $3::text::jsonb, version = version + 1, updated_at = clock_timestamp(),
             total_work_ms = (SELECT sum(duration_ms) FROM plan.step_execution t WHERE t.tenant_id = $1 AND t.execution_id = $2)
           WHERE tenant_id = $1 AND id = $2`,
          [
            ...[tenantId, run.id],
            JSON.stringify({
              resources: capacitiesOf(definition),
              calendars: calendarsOfRun(definition.resources, calendarAge(definition, begun, begun)),
            }),
          ],
          { prepare: true },
        );
        const blocked = before.steps.find(({ id }) => id === input.stepId)?.status === 'blocked';
        if (input.trigger === 'STEP_FAILED' && blocked) {
          const resolution = kind === 'skip' ? 'SKIP' : 'RETRY';
          const outcome = await runs.resolve(
            tx,
            { tenantId, executionId: run.id, stepId: input.stepId!, actor: subject },
            { resolution, reason: 'the plan was adapted' },
          );
          return { response: { planId: plan.id }, events: [...events, ...outcome.events], audit, jobs: outcome.jobs };
        }
      }
      return { response: { planId: plan.id }, events, audit };
    });
  }

  return {
    /** @throws {ADAPTATION_FAILED} {INVALID_STATE} {NOT_FOUND} {VERSION_CONFLICT} {VALIDATION_FAILED} */
    async adapt(scope: RequestScope, raw: unknown): Promise<Adaptation> {
      const input = parseInput(inputs.adaptPlan, raw, ['input']);
      const { tenantId } = scope.principal;
      const call = input.apply ? toIdempotentCall(scope, callOf(input)) : null;
      if (await findIdempotentResponse(sql, 'plan', call)) return { planId: input.planId, options: null, chosen: null };
      await requireVisible(sql, scope.principal, 'plan', input.planId);
      const [plan] = await findPlans(sql, tenantId, [input.planId]);
      if (!plan) throw unknownPlan();
      requireVersion(input.expectedVersion, plan.version);
      if (!['draft', 'approved', 'in_progress'].includes(plan.status))
        throw new PlatformError('INVALID_STATE', `a plan that is ${plan.status.toUpperCase()} is not adapted`, {
          path: ['input', 'planId'],
        });
      const loaded = await load(sql, plan);
      const elapsedMs = plan.status === 'in_progress' ? await elapsed(plan) : 0;
      const now = Date.now();
      const left = remaining(loaded, plan.status === 'in_progress' ? now - elapsedMs : null, now);
      const bases = basesOf(loaded, left, input);
      const planned = scheduledMakespan(left) ?? 0;
      const deadlineMs = input.trigger === 'DEADLINE_MOVED' ? input.deadlineMs! : plan.definition.deadlineMs;
      const risks = plan.definition.risks.map(({ status, ...risk }) => ({ ...risk, status: status ?? undefined }));
      const task: AdaptTask = {
        bases,
        planned: { makespanMs: planned, cost: costOf(left) },
        limitMs: deadlineMs === null ? planned * 1.1 : deadlineMs - elapsedMs,
        riskConfidence: 1 - scoreRisks(risks).score,
        open: loaded.steps.filter(isUnstarted).map(({ id }) => id),
        maxEvaluations: 30,
        seed: input.seed,
      };
      const found = await planning.run<readonly AdaptationOption[]>(thread, 'adapt', task, {
        lane: 'interactive',
        signal: scope.signal,
        timeoutMs: 10_000,
      });
      const allowance = input.maxCostIncrease == null ? Infinity : input.maxCostIncrease * task.planned.cost;
      const options = found
        .map((option) => ({
          ...option,
          withinLimits:
            option.costIncrease <= allowance + 1e-9 && option.successProbability >= input.minSuccessProbability,
        }))
        .sort(
          (one, other) =>
            Number(other.withinLimits) - Number(one.withinLimits) ||
            other.successProbability - one.successProbability ||
            one.makespanMs - other.makespanMs ||
            one.cost - other.cost,
        );
      const chosen = options[0];
      if (!chosen?.withinLimits)
        throw new PlatformError('ADAPTATION_FAILED', 'no option keeps the limits of cost and success', {
          path: ['input'],
          details: {
            options: options.slice(0, 5).map(({ schedule: _schedule, ...option }) => option),
          },
        });
      if (input.apply) await apply(scope, input, plan.version, chosen);
      return { planId: plan.id, options: options.slice(0, 20), chosen };
    },
  };

  async function elapsed(plan: PlanRow): Promise<number> {
    const [run] = (await sql.unsafe(
      `SELECT (extract(epoch FROM clock_timestamp() - started_at) * 1000)::float8 AS ms FROM plan.execution WHERE tenant_id = $1 AND plan_id = $2 AND status IN ('RUNNING', 'PAUSED')`,
      [plan.tenantId, plan.id],
      { prepare: true },
    )) as unknown as { ms: number }[];
    return run?.ms ?? 0;
  }
}
