import type { PlanProblem, ProblemDependency, ProblemStep } from './analysis/index.ts';
import { ancestorsOf, isComposite } from './composites.ts';
import type { PlanStepRow } from './rows.ts';

/**
 * A composite step among activities is a pair of milestones: its begin, before all of its sub-tasks, and its end, which
 * has its id. Begins stand behind all steps, so that the steps keep their places.
 */
const beginMark = '#begin';
const linkMark = '#in';

/** Whether it stands for the hierarchy alone: the plan has no step and no dependency of the id. */
export const isStructural = (id: string): boolean => id.includes('#');

const beginOf = (id: string): string => `${id}${beginMark}`;

/** The step that a node stands for. */
export const stepOf = (id: string): string => (id.endsWith(beginMark) ? id.slice(0, -beginMark.length) : id);

/** Dependencies of composite steps, and what holds the sub-tasks between their begin and their end. */
export function expandComposites(
  steps: readonly PlanStepRow[],
  nodes: readonly ProblemStep[],
  dependencies: readonly ProblemDependency[],
): Pick<PlanProblem, 'steps' | 'dependencies'> {
  const composite = new Set(steps.filter(isComposite).map(({ id }) => id));
  if (composite.size === 0) return { steps: nodes, dependencies };
  const begins = nodes
    .filter(({ id }) => composite.has(id))
    .map(({ id, earliestStart }): ProblemStep => ({ id: beginOf(id), duration: 0, earliestStart }));
  const ends = nodes.map(
    (node): ProblemStep =>
      composite.has(node.id) ? { id: node.id, duration: 0, earliestStart: undefined, deadline: node.deadline } : node,
  );
  const entry = (id: string) => (composite.has(id) ? beginOf(id) : id);
  const relations = dependencies.map((dependency): ProblemDependency => {
    const fromStart = dependency.type === 'start_to_start' || dependency.type === 'start_to_finish';
    const toStart = dependency.type === 'finish_to_start' || dependency.type === 'start_to_start';
    return {
      ...dependency,
      source: fromStart ? entry(dependency.source) : dependency.source,
      target: toStart ? entry(dependency.target) : dependency.target,
    };
  });
  const link = (source: string, target: string): ProblemDependency => ({
    ...{ id: `${source}${linkMark}${target}`, source, target, type: 'finish_to_start', lag: 0 },
    ...{ maxOverlap: 0, structural: true },
  });
  const depths = ancestorsOf(steps);
  // The deepest first: whoever adds up the ends of composite steps meets those within before those around them.
  const children = steps
    .filter(({ parentId }) => parentId !== null && composite.has(parentId))
    .sort((left, right) => depths.get(right.id)!.length - depths.get(left.id)!.length);
  return {
    steps: [...ends, ...begins],
    dependencies: [
      ...relations,
      ...[...composite].map((id) => link(beginOf(id), id)),
      ...children.flatMap(({ id, parentId }) => [link(beginOf(parentId!), entry(id)), link(id, parentId!)]),
    ],
  };
}

/** Starts of all nodes from those of the plan's steps: a composite step ends with the last of its sub-tasks. */
export function completeStarts(problem: PlanProblem, startOf: (stepId: string) => number): number[] {
  const starts = problem.steps.map(({ id }) => startOf(stepOf(id)));
  const indexOf = new Map(problem.steps.map(({ id }, at) => [id, at]));
  for (const { source, target, structural } of problem.dependencies) {
    if (structural !== true) continue;
    const [from, to] = [indexOf.get(source)!, indexOf.get(target)!];
    if (!isStructural(target)) starts[to] = Math.max(starts[to]!, starts[from]! + problem.steps[from]!.duration);
  }
  return starts;
}

interface Dated {
  readonly stepId: string;
  readonly startMs: number;
}

/** Dates of the nodes as dates of the plan's steps: a composite one starts with its begin. */
export function foldDates<Entry extends Dated>(entries: readonly Entry[]): Entry[] {
  const begins = new Map(
    entries.filter(({ stepId }) => isStructural(stepId)).map((entry) => [stepOf(entry.stepId), entry.startMs]),
  );
  if (begins.size === 0) return [...entries];
  return entries
    .filter(({ stepId }) => !isStructural(stepId))
    .map((entry) => ({ ...entry, startMs: begins.get(entry.stepId) ?? entry.startMs }));
}
