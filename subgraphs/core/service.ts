import type { Consumer } from '#shared/consumer.ts';
import type { RequestScope } from '#shared/context.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { createAgents } from './agents/agents.ts';
import { createAllocations } from './allocation/allocations.ts';
import { type CallKind, createCallRates } from './callRates.ts';
import { createCommands } from './commands.ts';
import { createContexts } from './contexts.ts';
import { createApprovals } from './execution/approvals.ts';
import { createBulk } from './execution/bulk.ts';
import { type CircuitsOptions, createCircuits, isBroken } from './execution/circuits.ts';
import { createExecutions } from './execution/executions.ts';
import { followAllocations } from './execution/resources.ts';
import { findNextDue, findUntold } from './execution/store.ts';
import { createTransitions } from './execution/transitions.ts';
import { createEndWaiter } from './execution/waiter.ts';
import { createWorker } from './execution/worker.ts';
import { tellHealth, tellModules } from './health/changes.ts';
import { createHealth } from './health/health.ts';
import { readMetrics } from './health/measured.ts';
import { createUptimes } from './health/uptime.ts';
import { createManifests } from './manifest/manifests.ts';
import { createDurations } from './metrics/durations.ts';
import { observeDraft } from './metrics/observe.ts';
import { createRecorder } from './metrics/recorder.ts';
import { createOptimizations } from './optimization/optimizations.ts';
import { coordinate } from './orchestration/coordination.ts';
import { createOrchestration } from './orchestration/orchestration.ts';
import { createReactions } from './orchestration/reactions.ts';
import { createSettings, type WorkerSettings } from './settings.ts';
import { publishSystemEvent, systemEvent } from './systemEvents.ts';
import { createWorkflowTunings } from './tuning/workflowTuning.ts';
import { createDefinitions } from './workflow/definitions.ts';
import { createOperations } from './workflow/operations.ts';
import { createWorkflows } from './workflow/workflows.ts';

const sweepEveryMs = 1_000;
/** As followers hear of what steps call: it is left alone, tried again, and called as before. */
const circuitEvents = { open: 'module.disconnected', half_open: 'module.tried', closed: 'module.connected' } as const;
/** Executions above each other. */
const maxDepth = 8;

export type CoreService = ReturnType<typeof createCoreService>;

export interface CoreServiceOptions {
  /** Instead of the configured ones; for tests. */
  readonly worker?: Partial<WorkerSettings>;
  readonly graceMs?: number;
  readonly circuits?: Omit<CircuitsOptions, 'onChanged'>;
  /** @default Math.random */
  readonly random?: () => number;
}

/** Everything the core module does; resolvers, consumers and timers call it. */
export function createCoreService(runtime: ModuleRuntime, options: CoreServiceOptions = {}) {
  const { sql, config, logger, graph } = runtime;
  const commands = createCommands(runtime);
  const contexts = createContexts(runtime, commands);
  const operations = createOperations();
  const workflows = createWorkflows(runtime, { commands, operations });
  const manifests = createManifests(runtime, commands);
  const approvals = createApprovals(runtime, manifests);
  const settings = createSettings(sql, {
    slots: config.CORE_WORKER_SLOTS,
    leaseMs: config.CORE_LEASE_MS,
    pollMs: config.CORE_POLL_MS,
    ...options.worker,
  });
  const recorder = createRecorder({
    ...{ sql, logger, everyMs: config.CORE_METRIC_MS, keepMs: config.CORE_METRIC_HOURS * 3_600_000 },
    gauges: () => ({
      'worker.busy': worker.running,
      'worker.slots': settings.current().slots,
      'loop.delay': health.loopDelayMs(),
    }),
  });
  const durations = createDurations({ sql, logger, everyMs: config.CORE_METRIC_MS });
  // One after the other: followers hear of changes in the order in which they came about.
  let told: Promise<unknown> = Promise.resolve();
  const circuits = createCircuits({
    ...options.circuits,
    onChanged({ tenantId, state, ...operation }) {
      const tell = () =>
        commands
          .runAs(tenantId, 'system', async () => ({
            response: null,
            events: [systemEvent(tenantId, circuitEvents[state], operation)],
          }))
          .catch((error: unknown) =>
            logger.warn({ tenantId, ...operation, state, error: String(error) }, 'a change of a circuit was not told'),
          );
      told = told.then(tell);
    },
  });
  const worker = createWorker({
    ...{ owner: newId(), settings: settings.current, graph, circuits, logger },
    onCalled({ tenantId, phase, step }, ms, result) {
      if (!result.ok && result.error.code === 'CIRCUIT_OPEN') return;
      recorder.observe(tenantId, 'step.service', ms);
      const called = phase === 'backward' ? step.compensation : step.operation;
      if (called !== null) recorder.observeCall(called.module, isBroken(result));
      if (!result.ok) recorder.observe(tenantId, 'step.failed', 1);
      if (isBroken(result)) recorder.observe(tenantId, 'step.broken', 1);
    },
  });
  const transitions = createTransitions(runtime, {
    definitions: createDefinitions(operations),
    settings: {
      get leaseMs() {
        return settings.current().leaseMs;
      },
      graceMs: options.graceMs ?? config.CORE_GRACE_MS,
      random: options.random ?? Math.random,
      maxDepth,
    },
    dispatcher: worker,
    onCommitted: (draft) => observeDraft({ recorder, durations }, draft),
    onApprovalAwaited(key, confirmId) {
      approvals.awaited(transitions, key, confirmId).catch((error: unknown) => {
        // The event of its end tells it.
        logger.warn({ ...key, confirmId, error: String(error) }, 'a confirm could not be looked up');
      });
    },
  });
  const waiter = createEndWaiter(runtime);
  const executions = createExecutions(runtime, { transitions, workflows, contexts, waiter, manifests });
  const allocations = createAllocations(runtime, { commands, contexts });
  const agents = createAgents(runtime, { commands });
  const uptimes = createUptimes({ sql, logger });
  const health = createHealth({
    uptimes,
    ...{ sqlOf: runtime.sqlOf, logger },
    onChanged: (snapshot) => tellHealth(runtime, snapshot),
    onModules: (changes) => tellModules(runtime, changes),
    worker: () => ({ running: worker.running, slots: settings.current().slots }),
    openCircuits: () => circuits.openCount,
    measured: () => readMetrics(sql, Date.now()),
  });
  const optimizations = createOptimizations(runtime, {
    ...{ commands, settings, flush: recorder.flush, metricMs: recorder.everyMs },
  });
  const orchestration = createOrchestration(runtime, {
    ...{ commands, contexts, executions, manifests, operations, circuits, health: health.snapshot },
  });
  const reactions = createReactions(runtime, { commands, orchestration });
  const callRates = createCallRates(runtime);
  let followers: readonly Consumer[] = [];

  /** What somebody asks for counts; what the module does by itself, or for a call that counts already, does not. */
  const counted =
    <Rest extends readonly unknown[], Result>(
      kind: CallKind,
      work: (scope: RequestScope, ...rest: Rest) => Promise<Result>,
    ) =>
    async (scope: RequestScope, ...rest: Rest): Promise<Result> => {
      await callRates.take(scope, kind);
      return work(scope, ...rest);
    };

  /** What a crash left unsaid: ends of children that their parents have not heard of. Then leases that are over. */
  async function sweep(): Promise<void> {
    for (const { tenantId, executionId, stepId, childId } of await findUntold(sql, 200))
      await transitions.send({ tenantId, executionId }, { kind: 'childEnded', stepId, childId });
    await allocations.sweep();
    await agents.sweep();
    await callRates.sweep();
    await settings.refresh();
    await optimizations.sweep();
  }

  return {
    sql,
    learn: contexts.learn,
    callRates,
    workflows: { ...workflows, create: counted('workflow', (scope, input: unknown) => workflows.create(scope, input)) },
    executions: {
      ...executions,
      start: counted('workflow', (scope, input: unknown) => executions.start(scope, input)),
    },
    transitions,
    worker,
    circuits,
    allocations: {
      ...allocations,
      allocate: counted('allocation', (scope, input: unknown) => allocations.allocate(scope, input)),
      allocateGang: counted('allocation', (scope, input: unknown) => allocations.allocateGang(scope, input)),
    },
    agents,
    manifests,
    health,
    uptimes,
    orchestration,
    coordinate: (scope: RequestScope, input: unknown) => coordinate(scope, input, { executions, operations }),
    publishSystemEvent: counted('event', (scope: RequestScope, input: unknown) =>
      publishSystemEvent(commands, scope, input),
    ),
    optimizations,
    tunings: createWorkflowTunings(runtime, { commands, operations, workflows }),
    settings,
    recorder,
    durations,
    bulk: createBulk(runtime, { contexts, transitions }),
    sweep,

    /** Reads everything other modules have told so far; for tests. */
    async catchUp(): Promise<void> {
      const [first, second, ...reacting] = followers;
      await first?.catchUp();
      await second?.catchUp();
      await Promise.all(reacting.map((follower) => follower.catchUp()));
    },

    async start(): Promise<StartedModule> {
      followers = await Promise.all([
        contexts.follow(transitions),
        approvals.follow(transitions),
        ...reactions.follow(),
      ]);
      await settings.refresh();
      worker.start(transitions, () => findNextDue(sql));
      const unfollow = followAllocations(runtime, transitions);
      const recording = recorder.start();
      const stopLooking = health.start();
      const counting = uptimes.start();
      const timing = durations.start();
      let sweeping: Promise<unknown> = Promise.resolve();
      const timer = setInterval(() => {
        sweeping = sweeping
          .then(sweep)
          .catch((error: unknown) =>
            logger.warn({ error: String(error) }, 'a sweep of workflows failed; the next follows'),
          );
      }, sweepEveryMs);
      return {
        async close() {
          clearInterval(timer);
          stopLooking();
          unfollow();
          await sweeping;
          await Promise.all(followers.map((follower) => follower.close()));
          await worker.close();
          await told;
          await transitions.drain();
          await agents.beats.drain();
          waiter.close();
          await recording.stop();
          await counting.stop();
          await timing.stop();
        },
      };
    },
  };
}
