import { ConditionError } from '#shared/conditions/evaluationError.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId, requireId } from '#shared/ids.ts';
import { isoText } from '#shared/record.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible } from '../access.ts';
import type { Call, CallOptions, Commands } from '../commands.ts';
import type { Contexts } from '../contexts.ts';
import type { Circuits } from '../execution/circuits.ts';
import { type Executions, type RuleCause, storedPrincipal } from '../execution/executions.ts';
import { findExecutions, findStepsOf } from '../execution/reads.ts';
import type { HealthSnapshot } from '../health/health.ts';
import type { Manifests } from '../manifest/manifests.ts';
import { isFault, type Operations } from '../workflow/operations.ts';
import { compileCondition, referencesIn, UnresolvedReference } from '../workflow/references.ts';
import { builtInRules, isBuiltIn } from './builtInRules.ts';
import * as inputs from './inputs.ts';
import { idsIn, plansIn } from './namedIds.ts';
import { type ChosenAction, decideActions, type NotChosen, type Rule, type Snapshot, type Verdict } from './rules.ts';
import { findHeadroom, findPendingConfirms, findSlack } from './snapshot.ts';

/** Decisions that may follow from each other: a chain longer than this goes round. */
export const maxDecisionDepth = 5;
const maxRules = 500;

export interface RuleRow extends Rule {
  readonly enabled: boolean;
  /** Whether events of modules trigger it by themselves. */
  readonly automatic: boolean;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
}

export interface Decision {
  readonly id: string;
  readonly actions: readonly ChosenAction[];
  readonly deferred: readonly NotChosen[];
  readonly rejected: readonly NotChosen[];
  readonly latencyMs: number;
  readonly executionId: string | null;
}

export const ruleColumns = `r.id, r.name, r.trigger, r.condition, r.actions, r.rank, r.enabled, r.automatic, r.version, ${isoText('r.created_at')} AS "createdAt", r.created_by AS "createdBy"`;

/** What is to be decided, by which rules. */
interface Asked {
  readonly event: Snapshot['event'];
  readonly contextId: string | null;
  readonly rules: readonly RuleRow[];
  readonly cause: RuleCause;
  readonly locked: boolean;
  readonly dispatch: boolean;
  /** Of an event that triggers by itself. */
  readonly eventId: string | null;
  readonly call: Call;
}

export interface OrchestrationDeps {
  readonly commands: Commands;
  readonly contexts: Contexts;
  readonly executions: Executions;
  readonly manifests: Manifests;
  readonly operations: Operations;
  readonly circuits: Circuits;
  readonly health: () => Promise<HealthSnapshot>;
}

export type Orchestration = ReturnType<typeof createOrchestration>;

/** What follows an event, by the tenant's rules: decided with reasons, and carried out as a workflow where that is asked. */
export function createOrchestration({ sql, graph, authorizer }: ModuleRuntime, deps: OrchestrationDeps) {
  const { commands, contexts, executions, manifests, operations, circuits, health } = deps;

  /** Those of the tenant, and of the platform's own the ones that no rule of the tenant has the name of. */
  async function findRules(tenantId: string): Promise<RuleRow[]> {
    const own = (await sql.unsafe(
      `SELECT ${ruleColumns} FROM core.rule r WHERE r.tenant_id = $1 ORDER BY r.rank, r.id`,
      [tenantId],
      {
        prepare: true,
      },
    )) as unknown as RuleRow[];
    const named = new Set(own.map(({ name }) => name));
    return [...own, ...builtInRules.filter(({ name }) => !named.has(name))].toSorted(
      (one, other) => one.rank - other.rank || (one.id < other.id ? -1 : 1),
    );
  }

  /** Modules and operations that cannot be called now, each with why. */
  async function unavailable(tenantId: string): Promise<ReadonlyMap<string, string>> {
    const [manifest, { components }] = await Promise.all([manifests.current(tenantId), health()]);
    const found = new Map<string, string>();
    for (const { module_id, status } of manifest?.modules ?? [])
      if (status === 'disabled') found.set(module_id, `${module_id} is disabled by the manifest`);
    for (const { name, status } of components)
      if (name.startsWith('module.') && status === 'error')
        found.set(name.slice('module.'.length), `${name.slice('module.'.length)} does not answer`);
    for (const { module, operation, retryAt } of circuits.openOf(tenantId))
      found.set(`${module}.${operation}`, `${operation} failed too often of late: it is left alone until ${retryAt}`);
    return found;
  }

  /** By what is urgent too, where there is something to be put in order. */
  async function withSlack({ principal }: RequestScope, rules: readonly Rule[], snapshot: Snapshot): Promise<Verdict> {
    const { quota: _quota, ...unlimited } = snapshot;
    const planIds = plansIn(decideActions(rules, unlimited).actions.map(({ input }) => input));
    if (planIds.length === 0) return decideActions(rules, snapshot);
    return decideActions(rules, { ...snapshot, slackMs: await findSlack(graph, principal, planIds) });
  }

  return {
    findRules,

    /** Adds a rule or changes the one of this name. @throws {UNKNOWN_OPERATION} {VALIDATION_FAILED} {UNRESOLVED_REF} {QUOTA_EXCEEDED} */
    async putRule(scope: RequestScope, raw: unknown): Promise<string> {
      const { idempotencyKey, ...input } = parseInput(inputs.rule, raw);
      try {
        if (input.condition != null) compileCondition(input.condition);
        for (const action of input.actions) referencesIn(action.input);
      } catch (error) {
        if (error instanceof ConditionError)
          throw new PlatformError('INVALID_WORKFLOW', error.message, { path: ['input', 'condition'] });
        if (error instanceof UnresolvedReference)
          throw new PlatformError('UNRESOLVED_REF', error.message, { path: ['input', 'actions'] });
        throw error;
      }
      input.actions.forEach((action, at) => {
        const read = operations.read({ ...action, select: null });
        if (isFault(read)) throw new PlatformError(read.code, read.message, { path: ['input', 'actions', at] });
      });
      // It acts by itself later, with the rights of who put it.
      if (input.automatic && !(await authorizer.allows(scope.principal, 'workflow:execute')))
        throw new PlatformError('PERMISSION_DENIED', 'a rule that reacts by itself needs workflow:execute', {
          details: { permission: 'workflow:execute' },
        });
      const { tenantId, subject } = scope.principal;
      return commands.run(scope, { operation: 'putOrchestrationRule', input, idempotencyKey }, async (tx) => {
        const [row] = (await tx.unsafe(
          `INSERT INTO core.rule AS r (tenant_id, id, name, trigger, condition, actions, rank, enabled, created_by, automatic, principal)
           VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, $9, $10, $11::text::jsonb)
           ON CONFLICT (tenant_id, name) DO UPDATE SET trigger = EXCLUDED.trigger, condition = EXCLUDED.condition, actions = EXCLUDED.actions, rank = EXCLUDED.rank,
             enabled = EXCLUDED.enabled, automatic = EXCLUDED.automatic, principal = EXCLUDED.principal, version = r.version + 1, updated_at = now() RETURNING r.id, (SELECT count(*)::int FROM core.rule c WHERE c.tenant_id = $1) AS count`,
          [
            tenantId,
            newId(),
            input.name,
            input.trigger,
            input.condition ?? null,
            JSON.stringify(input.actions),
            input.rank,
            input.enabled,
            subject,
            input.automatic,
            input.automatic ? JSON.stringify(storedPrincipal(scope.principal)) : null,
          ],
          { prepare: true },
        )) as unknown as { id: string; count: number }[];
        if (row!.count >= maxRules) throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxRules} rules`);
        return {
          response: row!.id,
          events: [
            { streamId: row!.id, type: 'rule.changed', data: { name: input.name }, tags: ['orchestrationRules'] },
          ],
          audit: [{ action: 'rule.put', resource: 'CoreOrchestrationRule', resourceId: row!.id }],
        };
      });
    },

    removeRule(scope: RequestScope, ruleId: string, { idempotencyKey }: CallOptions): Promise<string> {
      const id = requireId(ruleId, ['ruleId']);
      if (isBuiltIn(id))
        throw new PlatformError('INVALID_STATE', 'the rule is the platform’s: put one of its name in its place', {
          path: ['ruleId'],
        });
      const { tenantId } = scope.principal;
      return commands.run(
        scope,
        { operation: 'deleteOrchestrationRule', input: { id }, idempotencyKey },
        async (tx) => {
          const [row] = await tx.unsafe(
            'DELETE FROM core.rule WHERE tenant_id = $1 AND id = $2 RETURNING id',
            [tenantId, id],
            { prepare: true },
          );
          if (!row) throw new PlatformError('NOT_FOUND', 'no such rule', { path: ['ruleId'] });
          return {
            response: id,
            events: [{ streamId: id, type: 'rule.deleted', data: {}, tags: ['orchestrationRules'] }],
            audit: [{ action: 'rule.delete', resource: 'CoreOrchestrationRule', resourceId: id }],
          };
        },
      );
    },

    /**
     * What follows an event, or a point at which an execution is paused.
     * @throws {RULE_CYCLE} {CONTEXT_NOT_ACTIVE} {NOT_FOUND} {INVALID_STATE} where the execution is not paused
     */
    async decide(scope: RequestScope, raw: unknown): Promise<Decision> {
      const { idempotencyKey, dispatch, executionId, ...input } = parseInput(inputs.decide, raw);
      const point = executionId == null ? null : await requirePaused(scope, executionId);
      const depth = Math.max(input.depth, point?.cause.depth ?? 0);
      if (depth >= maxDecisionDepth)
        throw new PlatformError('RULE_CYCLE', `expected at most ${maxDecisionDepth} decisions one after the other`, {
          path: ['input', 'depth'],
        });
      return decideBy(scope, {
        event: point?.event ?? { type: input.eventType!, data: input.data ?? {} },
        contextId: point?.contextId ?? input.contextId ?? null,
        rules: (await findRules(scope.principal.tenantId)).filter(({ enabled }) => enabled),
        cause: { depth, chain: point?.cause.chain ?? [] },
        locked: (input.data?.['governance'] as { locked?: unknown } | null | undefined)?.locked === true,
        dispatch,
        eventId: null,
        call: { operation: 'decideOrchestration', input: { ...input, executionId, dispatch }, idempotencyKey },
      });
    },

    decideBy,
  };

  /** An execution that is paused, as an event: rules say what is done meanwhile. */
  async function requirePaused(scope: RequestScope, id: string) {
    const { tenantId } = scope.principal;
    await requireVisible(sql, scope.principal, { table: 'execution', id, learn: contexts.learn });
    const [row] = await findExecutions(sql, tenantId, [id]);
    if (!row) throw new PlatformError('NOT_FOUND', 'no such execution', { path: ['input', 'executionId'] });
    if (row.status !== 'paused')
      throw new PlatformError('INVALID_STATE', `expected an execution that is paused, it is ${row.status}`, {
        path: ['input', 'executionId'],
        details: { status: row.status.toUpperCase() },
      });
    const steps = await findStepsOf(sql, tenantId, [id]);
    return {
      contextId: row.contextId,
      cause: { depth: row.ruleDepth, chain: row.ruleChain },
      event: {
        type: 'workflow.paused',
        data: {
          ...{ executionId: id, workflowId: row.workflowId, reason: row.statusReason, input: row.input },
          steps: Object.fromEntries(steps.map(({ stepId, status, output }) => [stepId, { status, output }])),
        },
      },
    };
  }

  async function decideBy(
    scope: RequestScope,
    { event, contextId, rules, cause, locked, dispatch, eventId, call }: Asked,
  ): Promise<Decision> {
    const started = performance.now();
    const { tenantId, subject } = scope.principal;
    if (contextId !== null) await contexts.requireActive(scope.principal, contextId);
    const off = await unavailable(tenantId);
    // The platform's own rules are about a context: where none is named they have nothing to say.
    const asked = rules.filter(({ id }) => contextId !== null || !isBuiltIn(id));
    const asksResources = asked.some(({ actions }) => actions.some(({ requires }) => requires != null));
    const [pending, left] = await Promise.all([
      findPendingConfirms(sql, tenantId, idsIn([event.data, contextId, asked.map(({ actions }) => actions)])),
      asksResources ? findHeadroom(sql, tenantId, subject) : null,
    ]);
    const verdict = await withSlack(scope, asked, {
      ...{ event, contextId, unavailable: off, locked, pending, chain: cause.chain },
      // Actions are carried out as the caller, and what they take is the caller's.
      ...(left === null ? {} : { quota: { owner: subject, left } }),
    });
    const key = call.idempotencyKey;
    const next = [...new Set([...cause.chain, ...verdict.actions.map(({ ruleId }) => ruleId)])];
    const executionId =
      dispatch && verdict.actions.length > 0
        ? await executions.start(
            scope,
            {
              ...(contextId === null ? {} : { contextId }),
              ...(key == null ? {} : { idempotencyKey: `${key.slice(0, 180)}#dispatch` }),
              definition: {
                mode: 'SEQUENTIAL',
                errorStrategy: 'CONTINUE',
                steps: verdict.actions.map(({ module, action, input: given, order }) => ({
                  stepId: `action${order}`,
                  module,
                  action,
                  input: given,
                })),
              },
            },
            { depth: cause.depth + 1, chain: next },
          )
        : null;
    const latencyMs = Math.round((performance.now() - started) * 100) / 100;
    return commands.run(scope, call, async (tx) => {
      const id = newId();
      const trigger = { eventType: event.type, contextId, depth: cause.depth, eventId };
      await tx.unsafe(
        `INSERT INTO core.decision (tenant_id, id, trigger, actions, deferred, rejected, latency_ms, created_by, context_id, execution_id)
         VALUES ($1, $2, $3::text::jsonb, $4::text::jsonb, $5::text::jsonb, $6::text::jsonb, $7, $8, $9, $10)`,
        [
          tenantId,
          id,
          ...[trigger, verdict.actions, verdict.deferred, verdict.rejected].map((value) => JSON.stringify(value)),
          latencyMs,
          subject,
          contextId,
          executionId,
        ],
        { prepare: true },
      );
      const decision: Decision = { id, ...verdict, latencyMs, executionId };
      return {
        response: decision,
        events: [{ streamId: id, type: 'orchestration.decided', data: { decision }, tags: [] }],
        audit: [{ action: 'orchestration.decide', resource: 'CoreOrchestrationDecision', resourceId: id }],
      };
    });
  }
}
