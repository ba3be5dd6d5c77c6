import { createHash } from 'node:crypto';
import { EvaluationError } from '#shared/conditions/evaluationError.ts';
import type { Attributes } from '#shared/conditions/facts.ts';
import { type CompiledMethod, compileMethod } from './compile.ts';
import type { Method, StepTemplate, TaskOrder } from './method.ts';
import { createTask, keyOf, openTasks, type Task, type TaskNetwork, toNetwork } from './taskNetwork.ts';

/** Levels below an objective. */
export const maxDepth = 10;
export const maxSteps = 10_000;
/** Methods tried at most: what keeps a search through every order of unordered tasks from going on for hours. */
export const maxTries = 50_000;
/** Elements of facts that patterns are held against at most. */
export const maxMatches = 1_000_000;

export interface DecompositionProblem<Step extends StepTemplate = StepTemplate> {
  /** Those of one task are tried in their order here. */
  readonly methods: readonly Method<Step>[];
  readonly objectives: readonly { readonly task: string; readonly arguments: Attributes }[];
  readonly order: TaskOrder;
  readonly facts: Attributes;
}

/** A method taken: its task was replaced by the children, or became a step. */
export interface Choice<Step extends StepTemplate> {
  readonly task: Task;
  readonly compiled: CompiledMethod<Step>;
  readonly children: readonly Task[];
  /** Texts of its step. */
  readonly step: { readonly name: string; readonly description: string } | null;
}

export interface DecompositionFailure {
  readonly kind: 'no_method' | 'too_deep' | 'too_long' | 'gave_up' | 'empty';
  /** Where the search got furthest. */
  readonly objective: number;
  readonly task: string;
  readonly depth: number;
  /** Why each method of the task was not taken, in their order. */
  readonly methods: readonly { readonly name: string; readonly reason: string }[];
}

interface State<Step extends StepTemplate> {
  readonly network: TaskNetwork | null;
  readonly facts: Attributes;
  /** Facts that differ from those given. */
  readonly changed: Attributes;
  readonly trail: { readonly choice: Choice<Step>; readonly before: State<Step>['trail'] } | null;
  readonly steps: number;
}

interface Found<Step extends StepTemplate> {
  readonly objectives: readonly Task[];
  /** In the order in which they were made: a task is done when all choices below it have been. */
  readonly choices: readonly Choice<Step>[];
}

/**
 * Hierarchical task network planning by ordered task decomposition as in SHOP2 (Nau et al., J. AI Research 20, 2003):
 * tasks are decomposed in the order in which they will be carried out, so that at each of them the facts are known. Depth
 * first over the tasks that may come next and their methods, both in their order; states that failed are not tried again.
 * The same problem gives the same choices.
 */
export function searchDecomposition<Step extends StepTemplate>(
  problem: DecompositionProblem<Step>,
): Found<Step> | { readonly failure: DecompositionFailure } {
  const methods = Map.groupBy(problem.methods.map(compileMethod), ({ method }) => method.task);
  let furthest: (DecompositionFailure & { readonly steps: number }) | null = null;
  let tries = 0;
  let matches = 0;
  const isSpent = () => tries > maxTries || matches > maxMatches;
  const tick = () => {
    matches += 1;
    return !isSpent();
  };

  function note(kind: DecompositionFailure['kind'], task: Task, steps: number, refusals: Refusals): void {
    if (furthest && (furthest.steps > steps || (furthest.steps === steps && furthest.depth >= task.depth))) return;
    const { objective, name, depth } = task;
    furthest = { kind, objective, task: name, depth, methods: refusals, steps };
  }

  function* successors(state: State<Step>): Generator<State<Step>, undefined> {
    if (state.network === null) return;
    for (const { task, replace } of openTasks(state.network)) {
      const refusals: { name: string; reason: string }[] = [];
      for (const compiled of methods.get(task.name) ?? []) {
        let refusal: string | null = unbound;
        for (const vars of compiled.matches(task.arguments, state.facts, tick)) {
          tries += 1;
          if (isSpent()) return;
          const outcome = apply(compiled, task, { state, vars, replace });
          if (typeof outcome === 'string') refusal &&= outcome;
          else {
            refusal = null;
            yield outcome;
          }
        }
        if (isSpent()) return;
        if (refusal !== null) refusals.push({ name: compiled.method.name, reason: refusal });
      }
      const known = methods.get(task.name)?.length ?? 0;
      if (refusals.length === known)
        note(refusals.some(({ reason }) => reason === tooDeep) ? 'too_deep' : 'no_method', task, state.steps, refusals);
    }
  }

  const objectives = problem.objectives.map(({ task, arguments: given }, objective) =>
    createTask(task, given, { depth: 0, objective }),
  );
  const first: State<Step> = {
    network: toNetwork(objectives, problem.order),
    facts: problem.facts,
    changed: {},
    trail: null,
    steps: 0,
  };
  const failed = new Set<string>();
  const path = [{ state: first, next: successors(first) }];
  while (path.length > 0) {
    const { state, next } = path.at(-1)!;
    if (state.steps > maxSteps) return { failure: failureAt(problem, 'too_long', furthest) };
    if (state.network === null)
      return state.steps > 0
        ? { objectives, choices: choicesOf(state) }
        : { failure: failureAt(problem, 'empty', furthest) };
    if (isSpent()) return { failure: failureAt(problem, 'gave_up', furthest) };
    const found = next.next();
    if (found.done === true) {
      failed.add(digest(state));
      path.pop();
    } else if (failed.size === 0 || found.value.network === null || !failed.has(digest(found.value)))
      path.push({ state: found.value, next: successors(found.value) });
  }
  if (isSpent()) return { failure: failureAt(problem, 'gave_up', furthest) };
  return { failure: furthest ?? failureAt(problem, 'no_method', null) };
}

type Refusals = DecompositionFailure['methods'];

const unbound = 'no facts match its bindings';
const tooDeep = `its subtasks would lie deeper than ${maxDepth}`;

/** The state after the method, or why it is not taken. */
function apply<Step extends StepTemplate>(
  compiled: CompiledMethod<Step>,
  task: Task,
  {
    state,
    vars,
    replace,
  }: {
    readonly state: State<Step>;
    readonly vars: Attributes;
    readonly replace: (by: TaskNetwork | null) => TaskNetwork | null;
  },
): State<Step> | string {
  const situation = { task: task.arguments, facts: state.facts, vars };
  try {
    if (!compiled.applies(situation)) return 'its precondition does not hold, or a parameter has no value';
    if (compiled.subtasks !== null) {
      if (compiled.subtasks.length > 0 && task.depth >= maxDepth) return tooDeep;
      const place = { depth: task.depth + 1, objective: task.objective };
      const children = compiled.subtasks.map((subtask) => createTask(subtask.task, subtask.bind(situation), place));
      const network = replace(toNetwork(children, compiled.method.order));
      return { ...state, network, trail: { choice: { task, compiled, children, step: null }, before: state.trail } };
    }
    const { name, description, effects } = compiled.step!;
    const step = { name: name(situation), description: description(situation) };
    const changes = Object.fromEntries(effects.map(({ fact, apply: change }) => [fact, change(situation) ?? null]));
    return {
      network: replace(null),
      facts: effects.length === 0 ? state.facts : { ...state.facts, ...changes },
      changed: effects.length === 0 ? state.changed : { ...state.changed, ...changes },
      trail: { choice: { task, compiled, children: [], step }, before: state.trail },
      steps: state.steps + 1,
    };
  } catch (error) {
    if (error instanceof EvaluationError) return error.message;
    throw error;
  }
}

function choicesOf<Step extends StepTemplate>({ trail }: State<Step>): readonly Choice<Step>[] {
  const choices: Choice<Step>[] = [];
  for (let at = trail; at !== null; at = at.before) choices.push(at.choice);
  return choices.reverse();
}

/** Of fixed length, whatever is still to be done. */
function digest<Step extends StepTemplate>({ network, changed }: State<Step>): string {
  const facts = JSON.stringify(Object.entries(changed).sort(([one], [two]) => (one < two ? -1 : 1)));
  return createHash('sha256')
    .update(`${keyOf(network!)}|${facts}`)
    .digest('base64');
}

function failureAt(
  { objectives }: DecompositionProblem,
  kind: DecompositionFailure['kind'],
  furthest: DecompositionFailure | null,
): DecompositionFailure {
  return { objective: 0, task: objectives[0]!.task, depth: 0, methods: [], ...furthest, kind };
}
