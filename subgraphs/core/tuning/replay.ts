import type { StepDefinition } from '../workflow/definition.ts';
import { readTopology } from '../workflow/topology.ts';
import type { Recorded } from './recorded.ts';

/** What a replay looks at of a definition. */
export interface ReplayedDefinition {
  readonly steps: readonly Pick<StepDefinition, 'id' | 'dependsOn' | 'join' | 'quorum' | 'kind' | 'waitMs'>[];
  readonly maxConcurrentSteps: number;
}

/** Durations of steps by place in the definition, of one execution, ms. */
export type StepDurations = Float64Array;

/** Durations of each recorded execution; a step that did not run took no time. */
export function durationsOf({ steps }: ReplayedDefinition, recorded: Recorded): StepDurations[] {
  const places = new Map(steps.map(({ id }, at) => [id, at]));
  const all = recorded.durationsMs.map(() => new Float64Array(steps.length));
  for (const { stepId, startedMs, endedMs } of recorded.steps) {
    const place = places.get(stepId);
    if (place === undefined) continue;
    for (const [at, durations] of all.entries()) {
      const [from, to] = [startedMs[at], endedMs[at]];
      if (from != null && to != null) durations[place] = Math.max(0, to - from);
    }
  }
  return all;
}

/** What passes between the end of a step and the start of the next where nothing holds it: the 10th percentile, ms. */
export function handoverOf({ steps }: ReplayedDefinition, recorded: Recorded): number {
  const byId = new Map(recorded.steps.map((step) => [step.stepId, step]));
  const lags: number[] = [];
  for (const { id, dependsOn, join, kind } of steps) {
    const own = byId.get(id);
    if (kind !== 'task' || join !== 'all' || !own) continue;
    const sources = dependsOn.map((source) => byId.get(source));
    for (const [at, started] of own.startedMs.entries()) {
      const ends = sources.map((source) => source?.endedMs[at] ?? null);
      if (started === null || ends.includes(null)) continue;
      lags.push(Math.max(0, started - Math.max(0, ...(ends as number[]))));
    }
  }
  lags.sort((one, two) => one - two);
  return lags[Math.floor(lags.length / 10)] ?? 0;
}

/** Replays executions on a definition: list scheduling as workers do it, the longest way to the end first. */
export function createReplay({ steps, maxConcurrentSteps }: ReplayedDefinition, handoverMs: number) {
  const count = steps.length;
  const places = new Map(steps.map(({ id }, at) => [id, at]));
  const sources = steps.map(({ dependsOn }) => dependsOn.map((id) => places.get(id)!));
  const successors: number[][] = steps.map(() => []);
  for (const [at, list] of sources.entries()) for (const source of list) successors[source]!.push(at);
  // The order in which ready steps are handed out, by the same assumed times as there.
  const { tailMs } = readTopology(
    steps.map(({ id, dependsOn, kind, waitMs }) => ({
      ...{ id, dependsOn },
      durationMs: kind === 'wait' ? (waitMs ?? 0) : kind === 'pass' ? 0 : 100,
    })),
  );
  const rank = new Float64Array(count);
  [...steps.keys()]
    .sort((one, two) => tailMs.get(steps[two]!.id)! - tailMs.get(steps[one]!.id)! || one - two)
    .forEach((at, place) => {
      rank[at] = place;
    });
  /** Ends it waits for before it may begin. */
  const needed = steps.map(({ join, quorum }, at) =>
    join === 'any' ? Math.min(1, sources[at]!.length) : join === 'quorum' ? quorum! : sources[at]!.length,
  );

  /** @returns when the last step ends, ms; `ends` is filled with the ends of all */
  return function replay(durations: StepDurations, ends: Float64Array = new Float64Array(count)): number {
    const open = Int32Array.from(needed);
    const begun = new Uint8Array(count);
    const ready: number[] = [];
    const running: number[] = [];
    let slots = maxConcurrentSteps;
    let now = 0;
    let last = 0;
    const begin = (at: number) => {
      begun[at] = 1;
      if (steps[at]!.kind === 'task') ready.push(at);
      else run(at, 0);
    };
    const run = (at: number, lag: number) => {
      ends[at] = now + lag + durations[at]!;
      let place = running.length;
      running.push(at);
      while (place > 0 && ends[running[place - 1]!]! < ends[at]!) {
        running[place] = running[place - 1]!;
        place -= 1;
      }
      running[place] = at;
    };
    const handOut = () => {
      if (ready.length > 1) ready.sort((one, two) => rank[two]! - rank[one]!);
      while (slots > 0 && ready.length > 0) {
        slots -= 1;
        run(ready.pop()!, handoverMs);
      }
    };
    for (let at = 0; at < count; at += 1) if (open[at] === 0) begin(at);
    handOut();
    while (running.length > 0) {
      const at = running.pop()!;
      now = ends[at]!;
      last = Math.max(last, now);
      if (steps[at]!.kind === 'task') slots += 1;
      for (const next of successors[at]!) {
        open[next] = open[next]! - 1;
        if (open[next]! <= 0 && begun[next] === 0) begin(next);
      }
      handOut();
    }
    return last;
  };
}

/** Part of the time of the executions that each step was the one waited for: walked back from the last end. */
export function blameOf(
  { steps }: ReplayedDefinition,
  recorded: Recorded,
): readonly { readonly stepId: string; readonly share: number }[] {
  const byId = new Map(recorded.steps.map((step) => [step.stepId, step]));
  const definitions = new Map(steps.map((step) => [step.id, step]));
  const blamed = new Map<string, number>();
  let total = 0;
  for (const at of recorded.durationsMs.keys()) {
    const endOf = (id: string) => byId.get(id)?.endedMs[at] ?? Number.NEGATIVE_INFINITY;
    const latest = (ids: readonly string[]) =>
      ids.reduce<string | null>((best, id) => (best === null || endOf(id) > endOf(best) ? id : best), null);
    for (let id = latest(steps.map((step) => step.id)); id !== null && endOf(id) > 0; ) {
      const before: string | null = latest(definitions.get(id)!.dependsOn);
      const spent: number = endOf(id) - Math.max(0, before === null ? 0 : endOf(before));
      blamed.set(id, (blamed.get(id) ?? 0) + Math.max(0, spent));
      total += Math.max(0, spent);
      id = before;
    }
  }
  return [...blamed]
    .map(([stepId, ms]) => ({ stepId, share: total === 0 ? 0 : ms / total }))
    .sort((one, two) => two.share - one.share);
}
