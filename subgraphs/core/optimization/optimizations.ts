import { operatorTenantOf } from '#shared/config.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import type { Commands } from '../commands.ts';
import { platformTenant, type Settings } from '../settings.ts';
import { systemEvent } from '../systemEvents.ts';
import { makeChanges, takeBack } from './apply.ts';
import type { Finding } from './finding.ts';
import * as inputs from './inputs.ts';
import { judge, meanGain, measureSince } from './judging.ts';
import { searchPacking } from './packing.ts';
import { searchPlaces } from './places.ts';
import type { OptimizationChange, OptimizationRow, OptimizationScope } from './rows.ts';
import { findApplied, findWatched, lockApplied, putOptimization } from './store.ts';
import { searchWorkers } from './workers.ts';

/** Steps, executions and waiting requests below which nothing is said of a part of the system. */
const fewest: Readonly<Record<OptimizationScope, number>> = { workers: 20, workflows: 10, allocations: 1 };
const looksAtOnce = 20;
/** Between looks at what was changed, ms. */
const longestLookMs = 5_000;

export interface OptimizationsDeps {
  readonly commands: Commands;
  readonly settings: Settings;
  /** Stores what was measured up to now. */
  readonly flush: () => Promise<void>;
  /** Width of what is measured, ms. */
  readonly metricMs: number;
}

export type Optimizations = ReturnType<typeof createOptimizations>;

/** What could go better in the system, by what was measured: said, or made and watched. */
export function createOptimizations(
  { sql, config }: ModuleRuntime,
  { commands, settings, flush, metricMs }: OptimizationsDeps,
) {
  /** What all tenants share is one tenant's to change. */
  const isOperator = (tenantId: string) => tenantId !== platformTenant && tenantId === operatorTenantOf(config);

  /** @throws {PERMISSION_DENIED} */
  function scopesFor(tenantId: string, wanted: readonly string[] | null | undefined): readonly OptimizationScope[] {
    const scopes = [...new Set((wanted ?? []).map((scope) => scope.toLowerCase() as OptimizationScope))];
    if (scopes.includes('workers') && !isOperator(tenantId))
      throw new PlatformError('PERMISSION_DENIED', 'workers are shared: only the operator of the platform tunes them', {
        path: ['input', 'scope'],
      });
    if (scopes.length > 0) return scopes;
    return isOperator(tenantId) ? ['workers', 'workflows', 'allocations'] : ['workflows', 'allocations'];
  }

  async function search(
    tenantId: string,
    scopes: readonly OptimizationScope[],
    { goals, constraints, windowMs, timeBudgetMs }: ReturnType<typeof inputs.optimizeSystem.parse>,
    until: string,
  ): Promise<readonly (Finding & { readonly scope: OptimizationScope })[]> {
    const common = {
      ...{ sql, tenantId, until, minGain: constraints.minGain },
      from: new Date(Date.parse(until) - windowMs).toISOString(),
      deadlineMs: performance.now() + timeBudgetMs,
    };
    const searches: Readonly<Record<OptimizationScope, () => Promise<Finding>>> = {
      workers: () =>
        searchWorkers({
          ...{ ...common, settings: settings.current(), widthMs: metricMs },
          ...{ targetWaitMs: goals.get('STEP_WAIT') ?? null, maxSlots: constraints.maxWorkerSlots ?? null },
        }),
      workflows: () =>
        searchPlaces({
          ...{ ...common, targetWaitMs: goals.get('EXECUTION_WAIT') ?? null },
          maxExecutions: constraints.maxConcurrentExecutions ?? null,
        }),
      allocations: () => searchPacking({ ...common, targetWaitMs: null, maxMoves: constraints.maxMoves }),
    };
    return Promise.all(scopes.map(async (scope) => ({ scope, ...(await searches[scope]()) })));
  }

  /** Ends or goes on with one that was made, in the transaction that holds it. */
  async function lookAt(tx: SqlTransaction, row: OptimizationRow) {
    const now = new Date().toISOString();
    const judged = judge(row, await measureSince(tx, row, now), Date.parse(now));
    const by = { tenantId: row.tenantId, subject: 'system' };
    const { events } = judged.status === 'returned' ? await takeBack(tx, by, row.changes) : { events: [] };
    const isOver = judged.status !== 'applied';
    const next: OptimizationRow = {
      ...row,
      ...judged,
      endedAt: isOver ? now : null,
      lookAt: isOver ? null : new Date(Date.parse(now) + lookEveryMs(row)).toISOString(),
    };
    await putOptimization(tx, next);
    return {
      response: isOver,
      events: isOver ? [optimizationEvent(next), toldOf(next), ...events] : [],
      audit: isOver ? [auditOf(next)] : [],
    };
  }

  return {
    isOperator,

    /**
     * @throws {INSUFFICIENT_METRICS} where too little was measured in all parts, {PERMISSION_DENIED},
     * {INVALID_STATE} while another change is being judged
     */
    async optimizeSystem(scope: RequestScope, raw: unknown): Promise<string> {
      const input = parseInput(inputs.optimizeSystem, raw);
      const { tenantId, subject } = scope.principal;
      const scopes = scopesFor(tenantId, input.scope);
      await flush();
      const until = new Date().toISOString();
      const found = await search(tenantId, scopes, input, until);
      if (found.every((one) => one.observations < fewest[one.scope]))
        throw new PlatformError('INSUFFICIENT_METRICS', 'too little was measured to tell what could go better', {
          path: ['input', 'windowMs'],
          details: {
            observed: Object.fromEntries(found.map((one) => [one.scope, one.observations])),
            expected: Object.fromEntries(scopes.map((one) => [one, fewest[one]])),
          },
        });
      const chosen = chooseChanges(found, input.constraints.maxChanges);
      const { idempotencyKey, goals, ...request } = input;
      return commands.run(
        scope,
        { operation: 'optimizeSystem', input: { ...request, goals: [...goals] }, idempotencyKey },
        async (tx) => {
          const makes = !input.dryRun && chosen.length > 0;
          const other = makes ? await findApplied(tx, tenantId) : null;
          if (other !== null)
            throw new PlatformError('INVALID_STATE', 'a change is being judged: what another did could not be told', {
              details: { runId: other },
            });
          const { made, events } = makes
            ? await makeChanges(
                tx,
                { tenantId, subject },
                chosen.map(({ change }) => change),
              )
            : { made: chosen.map(({ change }) => change), events: [] };
          const applied = makes && made.length > 0;
          const now = new Date().toISOString();
          const after = (ms: number) => new Date(Date.parse(now) + ms).toISOString();
          const row: OptimizationRow = {
            ...{ tenantId, id: newId(), kind: 'system', scope: scopes, status: applied ? 'applied' : 'proposed' },
            observed: {
              from: new Date(Date.parse(until) - input.windowMs).toISOString(),
              until,
              observations: found.reduce((sum, { observations }) => sum + observations, 0),
            },
            bottlenecks: found
              .flatMap(({ bottlenecks }) => bottlenecks)
              .toSorted((one, two) => two.saturation * two.blame - one.saturation * one.blame)
              .slice(0, 50),
            ...{ changes: made, guards: guardsOf(chosen, made), workflow: null, minGain: input.constraints.minGain },
            ...{ expectedGain: meanGain(made, ({ predictedGain }) => predictedGain), measuredGain: null, reason: null },
            ...{ judgeAt: applied ? after(input.judgeAfterMs) : null, appliedAt: applied ? now : null, endedAt: null },
            lookAt: applied ? after(Math.min(longestLookMs, input.judgeAfterMs / 4)) : null,
            ...{ createdAt: now, createdBy: subject },
          };
          await putOptimization(tx, row);
          const told = applied ? [toldOf(row)] : [];
          return { response: row.id, events: [optimizationEvent(row), ...told, ...events], audit: [auditOf(row)] };
        },
      );
    },

    /** Judges what was changed and is due, whoever changed it: a crash in between changes nothing. */
    async sweep(): Promise<void> {
      const watched = await findWatched(sql, looksAtOnce);
      if (watched.length > 0) await flush();
      for (const { tenantId, id } of watched)
        await commands.runAs(tenantId, 'system', async (tx) => {
          const row = await lockApplied(tx, tenantId, id);
          return row === null ? { response: false } : lookAt(tx, row);
        });
    },
  };
}

const lookEveryMs = ({ appliedAt, judgeAt }: OptimizationRow) =>
  Math.min(longestLookMs, (Date.parse(judgeAt!) - Date.parse(appliedAt!)) / 4);

/** The greatest gains first; moves of leases belong together. */
function chooseChanges(found: readonly Finding[], maxChanges: number): Finding['changes'] {
  const all = found.flatMap(({ changes }) => changes);
  const moves = all.filter(({ change }) => change.knob === 'allocation.node');
  const others = all
    .filter(({ change }) => change.knob !== 'allocation.node')
    .toSorted((one, two) => two.change.predictedGain - one.change.predictedGain);
  return [...others.slice(0, maxChanges - Math.min(1, moves.length)), ...moves];
}

/** Guards of what was made, each once. */
function guardsOf(chosen: Finding['changes'], made: readonly OptimizationChange[]) {
  const guards = chosen.filter(({ change }) => made.includes(change)).flatMap((one) => one.guards);
  return [...new Map(guards.map((guard) => [`${guard.metric} ${guard.target}`, guard])).values()];
}

export function optimizationEvent(row: OptimizationRow) {
  return {
    streamId: row.id,
    type: `optimization.${row.status}`,
    data: { run: { id: row.id, kind: row.kind, status: row.status, reason: row.reason, changes: row.changes } },
    tags: [],
  };
}

/** What followers of the system hear of a change that was made, kept or taken back. */
const toldOf = ({ tenantId, id, status, reason, measuredGain }: OptimizationRow) =>
  systemEvent(tenantId, `optimization.${status}`, { runId: id, reason, measuredGain });

export const auditOf = ({ id, kind, status }: OptimizationRow) => ({
  action: `optimization.${status}`,
  resource: 'CoreOptimizationRun',
  resourceId: id,
  detail: { kind },
});
