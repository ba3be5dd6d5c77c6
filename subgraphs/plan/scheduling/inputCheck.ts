import type { Infeasibility } from './infeasibility.ts';
import { dependencyTypes, free, type SchedulingProblem, unbounded } from './problem.ts';

type InvalidInput = Extract<Infeasibility, { kind: 'invalid_input' }>;

/** The first value that breaks the shape of a problem, or null. */
export function findInvalidInput(problem: SchedulingProblem): InvalidInput | null {
  const size = problem.durations.length;
  return (
    findBadArray('durations', problem.durations, size, { least: 0 }) ??
    findBadArray('demands', problem.demands, size * problem.resources.length, { least: 0 }) ??
    findBadArray('releases', problem.releases, size, { least: 0 }) ??
    findBadArray('deadlines', problem.deadlines, size, { least: 0 }) ??
    findBadArray('fixedStarts', problem.fixedStarts, size, { least: free }) ??
    findBadArray('qualityWeights', problem.qualityWeights, size, { least: 0 }) ??
    findBadPrecedence(problem) ??
    findBadResource(problem) ??
    findBadCrashOption(problem) ??
    findBadTotal(problem)
  );
}

function invalid(path: string, expected: string, got: unknown): InvalidInput {
  return { kind: 'invalid_input', path, expected, got: String(got) };
}

function findBadArray(
  name: string,
  values: Int32Array | Float64Array | undefined,
  length: number,
  { least }: { least: number },
): InvalidInput | null {
  if (values === undefined) return null;
  if (values.length !== length) return invalid(name, `${length} values`, values.length);
  const bad = values.findIndex((value) => !(value >= least && value <= unbounded));
  return bad < 0 ? null : invalid(`${name}[${bad}]`, `${least} to ${unbounded}`, values[bad]);
}

function isTime(value: number): boolean {
  return Number.isInteger(value) && Math.abs(value) <= unbounded;
}

function findBadPrecedence({ durations, precedences }: SchedulingProblem): InvalidInput | null {
  const isActivity = (value: number) => Number.isInteger(value) && value >= 0 && value < durations.length;
  for (const [at, { from, to, type, lag }] of precedences.entries()) {
    const path = `precedences[${at}]`;
    if (!isActivity(from)) return invalid(`${path}.from`, `an activity below ${durations.length}`, from);
    if (!isActivity(to)) return invalid(`${path}.to`, `an activity below ${durations.length}`, to);
    if (!dependencyTypes.includes(type)) return invalid(`${path}.type`, dependencyTypes.join(', '), type);
    if (!isTime(lag)) return invalid(`${path}.lag`, 'a whole number', lag);
  }
  return null;
}

function findBadResource({ resources }: SchedulingProblem): InvalidInput | null {
  for (const [at, { capacity, calendar = [], costPerUnitTime = 0 }] of resources.entries()) {
    const path = `resources[${at}]`;
    if (!isTime(capacity) || capacity < 0) return invalid(`${path}.capacity`, 'a whole number from 0', capacity);
    if (!(costPerUnitTime >= 0)) return invalid(`${path}.costPerUnitTime`, 'a number from 0', costPerUnitTime);
    let before = -1;
    for (const [index, step] of calendar.entries()) {
      const stepPath = `${path}.calendar[${index}]`;
      if (!isTime(step.time) || step.time <= before)
        return invalid(`${stepPath}.time`, `a whole number above ${before}`, step.time);
      if (!isTime(step.capacity) || step.capacity < 0)
        return invalid(`${stepPath}.capacity`, 'a whole number from 0', step.capacity);
      before = step.time;
    }
  }
  return null;
}

function findBadCrashOption({ durations, crashOptions = [] }: SchedulingProblem): InvalidInput | null {
  for (const [at, { activity, crashDuration, costPerUnitTime }] of crashOptions.entries()) {
    const path = `crashOptions[${at}]`;
    const duration = durations[activity];
    if (duration === undefined) return invalid(`${path}.activity`, `an activity below ${durations.length}`, activity);
    if (!isTime(crashDuration) || crashDuration < 0 || crashDuration > duration)
      return invalid(`${path}.crashDuration`, `a whole number from 0 to ${duration}`, crashDuration);
    if (!(costPerUnitTime >= 0)) return invalid(`${path}.costPerUnitTime`, 'a number from 0', costPerUnitTime);
  }
  return null;
}

/** All times that may add up stay in 32 bits. */
function findBadTotal({
  durations,
  precedences,
  releases,
  fixedStarts,
  resources,
}: SchedulingProblem): InvalidInput | null {
  const sum = (values: Iterable<number>) => Iterator.from(values).reduce((total, value) => total + value, 0);
  const longest = (values: Iterable<number>) => Iterator.from(values).reduce((most, value) => Math.max(most, value), 0);
  const last = longest(resources.map(({ calendar }) => calendar?.at(-1)?.time ?? 0));
  const dates = longest([...(releases ?? []), ...(fixedStarts ?? [])]);
  const total = sum(durations) + sum(precedences.map(({ lag }) => Math.abs(lag))) + last + dates;
  return total < unbounded / 2 ? null : invalid('durations', `all times together below ${unbounded / 2}`, total);
}
