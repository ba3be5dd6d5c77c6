import { createDigraph, findTransitiveEdges, requireTopology } from '../network/index.ts';
import type { StepTemplate, TaskOrder } from './method.ts';
import type { Choice } from './search.ts';
import type { Task } from './taskNetwork.ts';

/** Before the transitive ones are left out. */
export const maxPrecedences = 1_000_000;

interface FactHistory {
  /** Choice that set it last. */
  setBy: number | null;
  /** Since then, in no order among themselves. */
  increasedBy: number[];
  /** Choices that have looked at it since then. */
  readBy: number[];
}

/**
 * What the order found comes down to (deordering: Bäckström, J. AI Research 9, 1998), as the fewest pairs
 * [earlier, later] of steps by their places: the order of the tasks, and that of the steps that set, increase and read the
 * same facts. Whatever order keeps these pairs, each step and each choice of a method finds the facts it was planned with.
 * Null when there are too many.
 */
export function findPrecedences<Template extends StepTemplate>(
  objectives: readonly Task[],
  order: TaskOrder,
  choices: readonly Choice<Template>[],
): readonly (readonly [number, number])[] | null {
  const before = orderTasks(objectives, order, choices);
  addFactOrder(choices, before);
  // A choice that is no step hands on what it comes after.
  const stepsBefore: Set<number>[] = [];
  const [earlier, later]: [number[], number[]] = [[], []];
  let [steps, size] = [0, 0];
  for (const [at, { step }] of choices.entries()) {
    const own = new Set<number>();
    for (const one of before[at]!) for (const place of stepsBefore[one]!) own.add(place);
    size += own.size;
    if (size > maxPrecedences) return null;
    if (step !== null) {
      for (const place of own) {
        earlier.push(place);
        later.push(steps);
      }
      own.clear();
      own.add(steps);
      steps += 1;
    }
    stepsBefore.push(own);
  }
  const graph = createDigraph(steps, Int32Array.from(earlier), Int32Array.from(later));
  const implied = new Set(findTransitiveEdges(graph, requireTopology(graph)));
  return earlier.flatMap((one, edge) => (implied.has(edge) ? [] : [[one, later[edge]!] as const]));
}

/** For each choice those that the order of tasks puts right before it. */
function orderTasks<Template extends StepTemplate>(
  objectives: readonly Task[],
  order: TaskOrder,
  choices: readonly Choice<Template>[],
): Set<number>[] {
  const indexOf = new Map(choices.map(({ task }, at) => [task, at]));
  const before = choices.map(() => new Set<number>());
  /** Answers the choices that end the tasks. */
  const visitAll = (tasks: readonly Task[], kind: TaskOrder, after: readonly number[]): readonly number[] =>
    kind === 'ORDERED'
      ? tasks.reduce((last, task) => visit(task, last), after)
      : tasks.flatMap((task) => visit(task, after));
  const visit = (task: Task, after: readonly number[]): readonly number[] => {
    const at = indexOf.get(task)!;
    for (const one of after) before[at]!.add(one);
    const { children, compiled } = choices[at]!;
    return children.length === 0 ? [at] : visitAll(children, compiled.method.order, [at]);
  };
  visitAll(objectives, order, []);
  return before;
}

function addFactOrder<Template extends StepTemplate>(
  choices: readonly Choice<Template>[],
  before: readonly Set<number>[],
): void {
  const facts = new Map<string, FactHistory>();
  const historyOf = (fact: string): FactHistory => {
    const known = facts.get(fact) ?? { setBy: null, increasedBy: [], readBy: [] };
    facts.set(fact, known);
    return known;
  };
  for (const [at, { compiled }] of choices.entries()) {
    const own = before[at]!;
    const follow = (others: Iterable<number>) => {
      for (const other of others) if (other !== at) own.add(other);
    };
    for (const fact of compiled.reads) {
      const history = historyOf(fact);
      follow(history.setBy === null ? history.increasedBy : [history.setBy, ...history.increasedBy]);
      history.readBy.push(at);
    }
    for (const { fact, increases } of compiled.step?.effects ?? []) {
      const history = historyOf(fact);
      follow(history.setBy === null ? history.readBy : [history.setBy, ...history.readBy]);
      if (increases) {
        history.increasedBy.push(at);
        continue;
      }
      follow(history.increasedBy);
      Object.assign(history, { setBy: at, increasedBy: [], readBy: [] });
    }
  }
}
