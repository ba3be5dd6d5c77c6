import { ConditionError } from './evaluationError.ts';

export type Attributes = Readonly<Record<string, unknown>>;

/** What a condition may look at: subject, resource, action and environment of NIST SP 800-162. */
export interface Facts {
  readonly subjectId: string;
  readonly subject: Attributes;
  /** Clearance that the roles held confer, where the subject's own attributes name none. */
  readonly roleClearance: string | undefined;
  /** Ids of the roles assigned. */
  readonly heldRoles: readonly string[];
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string | undefined;
  readonly resource: Attributes;
  readonly contextId: string | undefined;
  readonly planId: string | undefined;
  readonly environment: Attributes;
  /** Epoch ms. */
  readonly timeMs: number;
  readonly ip: string | undefined;
}

export type FactReader = (facts: Facts) => unknown;

const builtIn: ReadonlyMap<string, FactReader> = new Map<string, FactReader>([
  ['subject.id', (facts) => facts.subjectId],
  ['subject.roles', (facts) => facts.heldRoles],
  ['subject.securityClearance', (facts) => readOwn(facts.subject, 'securityClearance') ?? facts.roleClearance],
  ['resource.id', (facts) => facts.resourceId],
  ['resource.type', (facts) => facts.resourceType],
  ['environment.time', (facts) => facts.timeMs],
  ['environment.ip', (facts) => facts.ip],
  ['environment.action', (facts) => facts.action],
  ['environment.contextId', (facts) => facts.contextId],
  ['environment.planId', (facts) => facts.planId],
]);

/**
 * Compiles `subject.department` and the like. What is not an own property of a plain object is a missing attribute
 * (undefined): nothing is read through a prototype.
 * @throws {ConditionError} when the first part is not subject, resource or environment.
 */
export function compileReader(path: string, position?: number): FactReader {
  const known = builtIn.get(path);
  if (known !== undefined) return known;
  const [root, ...names] = path.split('.');
  if (names.length === 0 || names.some((name) => name === '')) {
    throw new ConditionError(`expected an attribute such as subject.department, got ${path.slice(0, 60)}`, position);
  }
  if (root === 'subject') return (facts) => readPath(facts.subject, names);
  if (root === 'resource') return (facts) => readPath(facts.resource, names);
  if (root === 'environment') return (facts) => readPath(facts.environment, names);
  throw new ConditionError(`expected subject, resource or environment, got ${path.slice(0, 60)}`, position);
}

function readPath(attributes: Attributes, names: readonly string[]): unknown {
  let value: unknown = attributes;
  for (const name of names) value = readOwn(value, name);
  return value;
}

const neverAttributes = new Set(['__proto__', 'constructor', 'prototype']);

/** The own data property `name` of a plain object; undefined for everything else, functions included. */
export function readOwn(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  if (neverAttributes.has(name)) return undefined;
  const own = Object.getOwnPropertyDescriptor(value, name)?.value as unknown;
  return own === null || typeof own === 'function' || typeof own === 'symbol' ? undefined : own;
}
