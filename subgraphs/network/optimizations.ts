import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { hashInput } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible, unknownNetwork } from './access.ts';
import { judgeMoves, makeMoves } from './applyRoutes.ts';
import { askFor, requireNoneWaits } from './approval/asking.ts';
import type { Commands } from './commands.ts';
import { networkEvent, runEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { requireNetwork } from './networkChanges.ts';
import { notActive } from './nodes.ts';
import type { OptimizeOutcome } from './optimizeThread.ts';
import { demandsOf, liveMatrix, type Matrix, shareOf, toResult, toTask } from './routeMatrix.ts';
import type { RoutingGoals } from './routing/optimize.ts';
import type { NetworkOptimizationRow } from './rows.ts';
import { openStatuses } from './states.ts';
import { findRun, insertRun, saveNetwork } from './store.ts';
import type { Topologies } from './topologies.ts';

const thread = new URL('./optimizeThread.ts', import.meta.url);

export interface OptimizeAnswer {
  readonly runId: string;
  /** The demands do not fit, however they are routed. */
  readonly isInfeasible: boolean;
}

/** Better routes for demands, or for the connections that are open. */
export function createOptimizations({ sql, compute }: ModuleRuntime, commands: Commands, topologies: Topologies) {
  return {
    find: (tenantId: string, runId: string) => findRun(sql, tenantId, runId),

    /** @throws {NOT_FOUND} {NETWORK_NOT_ACTIVE} {VALIDATION_FAILED} {INVALID_STATE} while another change waits. */
    async optimize(scope: RequestScope, raw: unknown): Promise<OptimizeAnswer> {
      const input = parseInput(inputs.optimize, raw, ['input']);
      const { principal } = scope;
      const { tenantId } = principal;
      if (input.apply && input.demands != null)
        throw new PlatformError('VALIDATION_FAILED', 'apply: expected no demands, open connections alone are moved', {
          path: ['input', 'apply'],
        });
      const call = { operation: 'optimizeRoutes', input, idempotencyKey: input.idempotencyKey };
      const known = await commands.known<OptimizeAnswer>(scope, call);
      if (known) return known;
      const snapshot = await topologies.find(sql, tenantId, input.networkId);
      if (!snapshot) throw unknownNetwork();
      const avoidedNodes = input.demands == null ? [...snapshot.blocked, ...snapshot.trials] : [];
      await requireVisible(sql, principal, input.networkId);
      if (input.apply && !openStatuses.includes(snapshot.status)) throw notActive(snapshot.status);
      const matrix: Matrix =
        input.demands == null
          ? await liveMatrix(sql, tenantId, snapshot)
          : { demands: demandsOf(snapshot, input.demands), before: null, connections: null };
      const task = toTask(snapshot, matrix, { ...input, avoidedNodes });
      const outcome = await compute.run<OptimizeOutcome>(thread, 'optimize', task, {
        lane: 'interactive',
        signal: scope.signal,
        timeoutMs: input.timeBudgetMs * 3 + 10_000,
      });
      const result = { ...toResult(snapshot, matrix, outcome), avoidedNodes };
      const isInfeasible = result.infeasibility !== null;
      const isToBeMade = input.apply && result.changes.some(({ newPath }) => newPath !== null);
      const { goals } = task;
      const answer = await commands.run<OptimizeAnswer>(scope, call, async (tx) => {
        const now = new Date().toISOString();
        const computed: NetworkOptimizationRow = {
          ...{ tenantId, id: newId(), networkId: input.networkId, structure: snapshot.structure },
          inputsHash: hashInput({
            ...{ demands: task.demands, goals, seed: input.seed, structure: snapshot.structure, before: task.before },
            // More moves than there are demands are no bound.
            ...{ maxMoves: Math.min(task.maxMoves, task.demands.length), timeBudgetMs: input.timeBudgetMs },
          }),
          ...{ seed: input.seed, result, appliedAt: null, state: 'computed', refusal: null },
          ...{ createdAt: now, createdBy: principal.subject },
        };
        const { run, events } = isToBeMade
          ? await applyOrAsk(tx, scope, { run: computed, goals, input, topologies })
          : { run: computed, events: [] };
        await insertRun(tx, run);
        return {
          response: { runId: run.id, isInfeasible },
          events: [runEvent(run, snapshot.contextId), ...events],
          audit: [
            { action: 'network.optimize', resource: 'Network', resourceId: input.networkId, detail: { runId: run.id } },
          ],
        };
      });
      topologies.forgetReserved(tenantId, input.networkId);
      return answer;
    },
  };
}

interface Wanted {
  readonly run: NetworkOptimizationRow;
  readonly goals: RoutingGoals;
  readonly input: inputs.OptimizeInput;
  readonly topologies: Topologies;
}

/** Moves connections, or asks for it where it is more than the network bears without. @throws {NETWORK_NOT_ACTIVE} {INVALID_STATE} */
async function applyOrAsk(tx: SqlTransaction, scope: RequestScope, { run, goals, input, topologies }: Wanted) {
  const network = await requireNetwork(tx, scope, run.networkId);
  const judged = await judgeMoves(tx, network, { run, goals, limits: input, topologies });
  const { result, refusal, open } = judged;
  if (refusal !== null) return { run: { ...run, result, state: 'refused' as const, refusal }, events: [] };
  const { approval } = network;
  const count = result.changes.length;
  if (approval === null || count <= shareOf(approval.disruptionTolerance, open)) {
    const events = await makeMoves(tx, network, judged);
    return { run: { ...run, result, state: 'applied' as const, appliedAt: run.createdAt }, events };
  }
  requireNoneWaits(network, ['input', 'networkId']);
  const { before, after } = result;
  const urgent = judged.moves.filter(({ connection }) => connection.trafficClass === 'real_time').length;
  const { disruptionTolerance = null } = input;
  const { row, type, changes, events } = askFor(network, scope.principal, {
    ...{ kind: 'optimize', reason: null, run: { id: run.id, goals, disruptionTolerance } },
    title: `Move connections of the network ${network.name}`,
    why:
      `${count} of ${open} open connections get other ways, ${urgent} of them in real time; ` +
      `the fullest link goes from ${inPercent(before.maxUtilization)} to ${inPercent(after.maxUtilization)} of its capacity`,
    figures: { moves: count, openConnections: open },
  });
  await saveNetwork(tx, row);
  const waiting = { ...run, result: { ...result, movesMade: 0 }, state: 'waiting' as const };
  return { run: waiting, events: [networkEvent(type, row, changes), ...events] };
}

const inPercent = (share: number) => (share > 10 ? 'more than 1,000 %' : `${Math.round(share * 100)} %`);
