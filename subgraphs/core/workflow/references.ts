import { ConditionError } from '#shared/conditions/evaluationError.ts';
import { compileExpressionOver, type Predicate, type ReaderCompiler } from '#shared/conditions/expression/compile.ts';

/** What templates and conditions look at. */
export interface Scope {
  readonly input: unknown;
  /** Outputs of steps that are completed, by id. */
  readonly outputs: ReadonlyMap<string, unknown>;
  readonly execution: { readonly id: string; readonly contextId: string | null; readonly workflowId: string };
  /** Within a loop's condition. */
  readonly loop?: { readonly iteration: number; readonly output: unknown };
  /** Of a compensation: what its step answered. */
  readonly self?: { readonly output: unknown };
}

/** Names that are no steps. */
export const reservedNames: ReadonlySet<string> = new Set(['input', 'execution', 'loop', 'self', 'steps']);

const placeholder = /\$\{([^{}]*)\}/g;
const pathPattern = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*$/;
const neverRead = new Set(['__proto__', 'constructor', 'prototype']);

/** A reference that leads to nothing. */
export class UnresolvedReference extends Error {
  readonly reference: string;
  constructor(reference: string, message: string) {
    super(message);
    this.name = 'UnresolvedReference';
    this.reference = reference;
  }
}

export interface Reference {
  readonly text: string;
  /** Step it reads; null for input, execution, loop and self. */
  readonly stepId: string | null;
  readonly root: 'input' | 'execution' | 'loop' | 'self' | 'step';
  /** Below the root; of a step below its output. */
  readonly path: readonly string[];
}

/**
 * Reads `step.output.path`, `step.result.path`, `steps.step.output.path`, `input.path`, `execution.id`, `loop.iteration`
 * and `self.output.path`.
 * @throws {UnresolvedReference} where it is none of these
 */
export function readReference(text: string): Reference {
  const fail = (): never => {
    throw new UnresolvedReference(
      text,
      `expected input.<path>, execution.<name> or <step>.output.<path>, got ${text.slice(0, 80)}`,
    );
  };
  if (!pathPattern.test(text)) return fail();
  const parts = text.split('.');
  if (parts.some((part) => neverRead.has(part))) return fail();
  const [root, ...rest] = parts as [string, ...string[]];
  if (root === 'input') return { text, stepId: null, root, path: rest };
  if (root === 'execution' && rest.length === 1 && ['id', 'contextId', 'workflowId'].includes(rest[0]!))
    return { text, stepId: null, root, path: rest };
  if (root === 'loop' && (rest[0] === 'output' || (rest.length === 1 && rest[0] === 'iteration')))
    return { text, stepId: null, root, path: rest };
  if (root === 'self' && (rest[0] === 'output' || rest[0] === 'result'))
    return { text, stepId: null, root, path: rest.slice(1) };
  const [stepId, part, ...path] = root === 'steps' ? rest : parts;
  if (stepId === undefined || (part !== 'output' && part !== 'result') || reservedNames.has(stepId)) return fail();
  return { text, stepId, root: 'step', path };
}

/** Own data only: nothing is read through a prototype, and nothing is called. */
export function readPath(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const name of path) {
    if (typeof at !== 'object' || at === null || neverRead.has(name)) return undefined;
    at = Object.getOwnPropertyDescriptor(at, name)?.value as unknown;
  }
  return typeof at === 'function' || typeof at === 'symbol' ? undefined : at;
}

function look({ root, stepId, path }: Reference, scope: Scope): unknown {
  switch (root) {
    case 'input':
      return readPath(scope.input, path);
    case 'execution':
      return readPath(scope.execution, path);
    case 'loop':
      return readPath(scope.loop, path);
    case 'self':
      return readPath(scope.self?.output, path);
    case 'step':
      return readPath(scope.outputs.get(stepId!), path);
  }
}

/** All references of a template. @throws {UnresolvedReference} where one is malformed */
export function referencesIn(template: unknown): readonly Reference[] {
  const found: Reference[] = [];
  const visit = (value: unknown): void => {
    if (typeof value === 'string') for (const [, text] of value.matchAll(placeholder)) found.push(readReference(text!));
    else if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit);
  };
  visit(template);
  return found;
}

/**
 * Fills a template in: a text that is one placeholder becomes the value, within a text it becomes text. Nothing is
 * evaluated.
 * @throws {UnresolvedReference} where a reference leads to nothing
 */
export function fillTemplate(template: unknown, scope: Scope): unknown {
  if (typeof template === 'string') {
    if (!template.includes('${')) return template;
    const whole = /^\$\{([^{}]*)\}$/.exec(template);
    if (whole) return required(readReference(whole[1]!), scope);
    return template.replace(placeholder, (_match, text: string) => {
      const value = required(readReference(text), scope);
      return typeof value === 'string' ? value : JSON.stringify(value);
    });
  }
  if (Array.isArray(template)) return template.map((item) => fillTemplate(item, scope));
  if (typeof template === 'object' && template !== null)
    return Object.fromEntries(Object.entries(template).map(([key, item]) => [key, fillTemplate(item, scope)]));
  return template;
}

function required(reference: Reference, scope: Scope): unknown {
  const value = look(reference, scope);
  if (value === undefined)
    throw new UnresolvedReference(reference.text, `\${${reference.text.slice(0, 80)}} leads to nothing`);
  return value;
}

/** A condition over the same names; what leads to nothing is a missing attribute. @throws {ConditionError} */
export function compileCondition(text: string, note: (reference: Reference) => void = () => {}): Predicate<Scope> {
  const read: ReaderCompiler<Scope> = (path, position) => {
    try {
      const reference = readReference(path);
      note(reference);
      return (scope) => look(reference, scope) ?? undefined;
    } catch (error) {
      throw new ConditionError(error instanceof Error ? error.message : String(error), position);
    }
  };
  return compileExpressionOver(text, read);
}
