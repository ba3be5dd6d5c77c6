import type { CoreExecutionRow, CoreStepExecutionRow } from '../rows.ts';
import { stepsAt, type WorkflowDefinition } from '../workflow/definition.ts';

export interface ModuleUsage {
  readonly module: string;
  readonly calls: number;
  readonly busyMs: number;
}

export interface ExecutionUsage {
  readonly calls: number;
  readonly busyMs: number;
  readonly queuedMs: number;
  readonly bytes: number;
  readonly modules: readonly ModuleUsage[];
}

type Step = Pick<
  CoreStepExecutionRow,
  'stepId' | 'attempt' | 'readyAt' | 'startedAt' | 'finishedAt' | 'input' | 'output'
>;

const since = (from: string | null, toMs: number) => (from === null ? 0 : Math.max(0, toMs - Date.parse(from)));
const bytesOf = (value: unknown) => (value == null ? 0 : Buffer.byteLength(JSON.stringify(value)));

/** What the steps of an execution have taken; a step that has not ended took no time yet, so that nothing depends on when it is asked. */
export function usageOf(
  { body }: Pick<CoreExecutionRow, 'body'>,
  definition: WorkflowDefinition,
  steps: readonly Step[],
): ExecutionUsage {
  const moduleOf = new Map(stepsAt(definition, body).map(({ id, call }) => [id, call?.module ?? null]));
  const modules = new Map<string, ModuleUsage>();
  let [busyMs, queuedMs, bytes] = [0, 0, 0];
  for (const step of steps) {
    const own = step.finishedAt === null ? 0 : since(step.startedAt, Date.parse(step.finishedAt));
    busyMs += own;
    // Of a step that is tried again only its first wait is known.
    if (step.startedAt !== null) queuedMs += since(step.readyAt, Date.parse(step.startedAt));
    bytes += bytesOf(step.input) + bytesOf(step.output);
    const module = moduleOf.get(step.stepId);
    if (module == null || step.attempt === 0) continue;
    const before = modules.get(module) ?? { module, calls: 0, busyMs: 0 };
    modules.set(module, { module, calls: before.calls + step.attempt, busyMs: before.busyMs + own });
  }
  const used = [...modules.values()].toSorted((one, other) => (one.module < other.module ? -1 : 1));
  return { calls: used.reduce((sum, { calls }) => sum + calls, 0), busyMs, queuedMs, bytes, modules: used };
}
