import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import type { Commands } from '../commands.ts';
import * as inputs from '../optimization/inputs.ts';
import { auditOf, optimizationEvent } from '../optimization/optimizations.ts';
import type { OptimizationRow } from '../optimization/rows.ts';
import { putOptimization } from '../optimization/store.ts';
import type { WorkflowDefinition } from '../workflow/definition.ts';
import { isFault, type Operations } from '../workflow/operations.ts';
import { findVersion, type Workflows } from '../workflow/workflows.ts';
import { findRecorded } from './recorded.ts';
import type { Tuned, TuneTask } from './tune.ts';

const thread = new URL('./tune.ts', import.meta.url);
const fewestExecutions = 5;
/** For reading what was recorded and for the step of the search that is under way when its time ends. */
const graceMs = 5_000;

export interface WorkflowTuningDeps {
  readonly commands: Commands;
  readonly operations: Operations;
  readonly workflows: Workflows;
}

export type WorkflowTunings = ReturnType<typeof createWorkflowTunings>;

/** A better definition of a workflow, by what its executions took. */
export function createWorkflowTunings(
  { sql, compute }: ModuleRuntime,
  { commands, operations, workflows }: WorkflowTuningDeps,
) {
  /** Steps whose calls change something; what the graph no longer has may. */
  const changingIn = ({ steps }: WorkflowDefinition) =>
    steps.flatMap(({ id, call }) => {
      const operation = call && operations.read(call);
      return operation === null || (!isFault(operation) && operation.kind === 'query') ? [] : [id];
    });

  return {
    /** @throws {NOT_FOUND} {INSUFFICIENT_METRICS} {INVALID_STATE} {VERSION_CONFLICT} */
    async optimize(scope: RequestScope, raw: unknown): Promise<string> {
      const input = parseInput(inputs.optimizeWorkflow, raw);
      const { tenantId, subject } = scope.principal;
      const { workflowId, idempotencyKey, ...request } = input;
      const version = await findVersion(sql, tenantId, workflowId, input.version ?? null);
      if (!version)
        throw new PlatformError('NOT_FOUND', 'no such workflow or version', { path: ['input', 'workflowId'] });
      const recorded = await findRecorded(sql, { tenantId, workflowId, version: version.version }, input.executions);
      const sampled = recorded.durationsMs.length;
      if (sampled < fewestExecutions)
        throw new PlatformError(
          'INSUFFICIENT_METRICS',
          `expected ${fewestExecutions} completed executions of the version, got ${sampled}`,
          { path: ['input', 'workflowId'], details: { observed: { workflows: sampled } } },
        );
      const { definition } = version;
      const task: TuneTask = {
        ...{ definition, recorded, changing: changingIn(definition) },
        ordering: input.ordering === 'DATA' ? 'data' : 'effects',
        timeBudgetMs: input.timeBudgetMs,
      };
      const tuned = await compute.run<Tuned>(thread, 'tune', task, {
        ...{ lane: 'interactive', signal: scope.signal, timeoutMs: input.timeBudgetMs + graceMs },
      });
      const gain = tuned.replayedMs === 0 ? 0 : 1 - tuned.predictedMs / tuned.replayedMs;
      return commands.run(
        scope,
        { operation: 'optimizeWorkflow', input: { workflowId, ...request }, idempotencyKey },
        async (tx) => {
          const publishes = input.publish && tuned.changes.length > 0;
          const published = publishes
            ? await workflows.publishIn(tx, scope, workflowId, {
                ...{ definition: tuned.definition, change: 'performance_tuned' },
                expectedVersion: input.expectedVersion ?? null,
              })
            : null;
          const now = new Date().toISOString();
          const row: OptimizationRow = {
            ...{
              tenantId,
              id: newId(),
              kind: 'workflow',
              scope: ['workflows'],
              status: publishes ? 'kept' : 'proposed',
            },
            observed: { from: version.createdAt, until: now, observations: sampled },
            ...{ bottlenecks: [], guards: [], minGain: 0 },
            changes: tuned.changes.map(({ kind, stepId, from, to, gainMs, reason }) => ({
              ...{ knob: kind, target: stepId, from, to, model: 'replay', reason, measuredGain: null, before: null },
              predictedGain: tuned.replayedMs === 0 ? 0 : gainMs / tuned.replayedMs,
            })),
            workflow: {
              ...{ workflowId, version: version.version, publishedVersion: published?.row.latestVersion ?? null },
              ...{ definition: tuned.definition, criticalPath: tuned.criticalPath, steps: tuned.steps },
              ...{ measuredMs: tuned.measuredMs, replayedMs: tuned.replayedMs, predictedMs: tuned.predictedMs },
              ...{ handoverMs: tuned.handoverMs, timeBudgetExhausted: tuned.timeBudgetExhausted },
            },
            ...{ expectedGain: gain, measuredGain: null, reason: null, lookAt: null, judgeAt: null },
            ...{ appliedAt: publishes ? now : null, endedAt: now, createdAt: now, createdBy: subject },
          };
          await putOptimization(tx, row);
          return {
            response: row.id,
            events: [optimizationEvent(row), ...(published?.events ?? [])],
            audit: [auditOf(row), ...(published?.audit ?? [])],
          };
        },
      );
    },
  };
}
