export type TaskOrder = 'ORDERED' | 'UNORDERED';

/** A scalar, or a text that begins with `$`: `$task.name` a parameter, `$facts.name` a fact, `$vars.name` a variable, `$$` a dollar. */
export type Term = string | number | boolean | null;

/** A pattern over the elements of a list among the facts; terms that begin with `?` are variables. */
export interface Binding {
  /** `facts.name`, perhaps with what lies in it. */
  readonly in: string;
  readonly pattern: Term | Readonly<Record<string, Term>>;
}

export interface Subtask {
  readonly task: string;
  readonly arguments: Readonly<Record<string, Term>>;
}

/** What a step makes of a fact: another value (null: none), or a number so much greater. */
export type Effect =
  | { readonly fact: string; readonly value: Term }
  | { readonly fact: string; readonly increase: string | number };

/** Texts may hold `{task.name}`, `{facts.name}` and `{vars.name}`; everything else is taken over into the step. */
export interface StepTemplate {
  readonly name?: string | null | undefined;
  readonly description: string;
  readonly effects: readonly Effect[];
}

/** One way to do a task: by subtasks, or as a single step. */
export interface Method<Step extends StepTemplate = StepTemplate> {
  readonly id: string;
  readonly task: string;
  readonly name: string;
  readonly parameters: readonly string[];
  /** What gives its variables their values, one after the other. */
  readonly bindings: readonly Binding[];
  readonly precondition: string | null;
  readonly order: TaskOrder;
  readonly subtasks: readonly Subtask[] | null;
  readonly step: Step | null;
}
