export type TaskOrder = 'ORDERED' | 'UNORDERED';

/** A scalar, or a text that begins with `$`: `$task.name` a parameter, `$facts.name` a fact, `$$` a dollar. */
export type Term = string | number | boolean | null;

export interface Subtask {
  readonly task: string;
  readonly arguments: Readonly<Record<string, Term>>;
}

/** What a step makes of a fact: another value (null: none), or a number so much greater. */
export type Effect =
  | { readonly fact: string; readonly value: Term }
  | { readonly fact: string; readonly increase: string | number };

/** Texts may hold `{task.name}` and `{facts.name}`; everything else is taken over into the step. */
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
  readonly precondition: string | null;
  readonly order: TaskOrder;
  readonly subtasks: readonly Subtask[] | null;
  readonly step: Step | null;
}
