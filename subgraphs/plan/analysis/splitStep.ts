import { type PlanProblem, type ProblemDependency, replaceOne, scaleDuration } from './problem.ts';

/**
 * Divides a step into parts `id/1`, `id/2`, ... whose durations differ by one at most and add up to the step's own, with
 * its demands each. Parallel parts have all of its dependencies. Parts in a row are a chain, in which the first part
 * carries what concerns the step's start and the last what concerns its finish: others may use the resources in between.
 */
export function splitStep(
  problem: PlanProblem,
  id: string,
  { parts, parallel }: { readonly parts: number; readonly parallel: boolean },
): PlanProblem {
  if (!Number.isInteger(parts) || parts < 2) throw new RangeError(`expected two parts or more, got ${parts}`);
  const partIds = Array.from({ length: parts }, (_, part) => `${id}/${part + 1}`);
  const taken = new Set(problem.steps.map((step) => step.id));
  for (const partId of partIds) if (taken.has(partId)) throw new RangeError(`expected no step '${partId}', got one`);
  const carriers = (atFinish: boolean): readonly string[] => (parallel ? partIds : [partIds.at(atFinish ? -1 : 0)!]);

  const steps = replaceOne(problem.steps, id, (step) => {
    const lengths = divide(step.duration, parts);
    return partIds.map((partId, part) => ({
      ...scaleDuration(step, lengths[part]!),
      id: partId,
      // One part is not divided again, and shares the room for crashing.
      divisible: undefined,
      crash: step.crash && {
        ...step.crash,
        minDuration: Math.min(lengths[part]!, divide(step.crash.minDuration, parts)[part]!),
      },
      earliestStart: parallel || part === 0 ? step.earliestStart : undefined,
      deadline: parallel || part === parts - 1 ? step.deadline : undefined,
    }));
  });
  const dependencies = problem.dependencies.flatMap((dependency): ProblemDependency[] => {
    if (dependency.source !== id && dependency.target !== id) return [dependency];
    const sources = dependency.source === id ? carriers(dependency.type.startsWith('finish')) : [dependency.source];
    const targets = dependency.target === id ? carriers(dependency.type.endsWith('finish')) : [dependency.target];
    const copies = sources.flatMap((source) => targets.map((target) => ({ ...dependency, source, target })));
    return copies.length === 1 ? copies : copies.map((copy, at) => ({ ...copy, id: `${dependency.id}/${at + 1}` }));
  });
  if (!parallel)
    for (let part = 1; part < parts; part += 1)
      dependencies.push({
        ...{ id: `${id}/${part}>${part + 1}`, source: partIds[part - 1]!, target: partIds[part]! },
        ...{ type: 'finish_to_start', lag: 0 },
      });
  return { ...problem, steps, dependencies };
}

/** Whole parts of a whole length, the longer ones first; equal parts of a fraction. */
function divide(length: number, parts: number): number[] {
  if (!Number.isInteger(length)) return Array.from({ length: parts }, () => length / parts);
  const rest = length % parts;
  return Array.from({ length: parts }, (_, part) => Math.floor(length / parts) + (part < rest ? 1 : 0));
}
