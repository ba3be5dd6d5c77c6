import { createHash } from 'node:crypto';
import { ConditionError, EvaluationError } from './conditions/evaluationError.ts';
import { compileNode, type Predicate } from './conditions/expression/compile.ts';
import { toJsonPath } from './conditions/expression/jsonPath.ts';
import { type Expression, parseExpression } from './conditions/expression/parser.ts';
import { type Known, settle, verdictOf } from './conditions/expression/settle.ts';
import { type Attributes, compileReader, type Facts } from './conditions/facts.ts';
import { flatten } from './conditions/flatFacts.ts';
import { createLru } from './lru.ts';
import type { Principal } from './principal.ts';
import { attributesOf } from './rights.ts';

/** An entry of a context's access list, as it is stored or as the graph shows it. */
export interface ListedPermission {
  readonly principal: string;
  /** `user`, `agent`, `role` or `group`, in whichever case. */
  readonly principalType: string;
  readonly resource: string;
  readonly actions: readonly string[];
  readonly conditions?: Readonly<Record<string, unknown>> | null | undefined;
}

/** What a condition of the list may look at of its context. */
export interface ListedResource {
  readonly id: string;
  readonly attributes: Attributes;
}

/** Shows the context to those of a key for whom, at the moment they look, a condition holds. */
export interface ConditionalReader {
  readonly key: string;
  /** What is left of the condition in this context: it asks for the subject and the time only. */
  readonly when: Expression;
  /** The same for PostgreSQL, over the facts that a viewer brings. */
  readonly path: string;
}

export interface Readers {
  /** Keys of whom the list shows the context as it stands, and `when` keys of what it shows under conditions; sorted. */
  readonly readers: readonly string[];
  readonly conditional: readonly ConditionalReader[];
}

/** Characters that the paths of a list may take together; what stands behind that in the list shows nothing. */
const maxPathsLength = 262_144;

const subjectKey = (subject: string) => `subject:${subject}`;
const roleKey = (role: string) => `role:${role}`;
/** No reader bears it: it finds contexts that show themselves to a key under conditions. */
const whenKey = (key: string) => `when:${key}`;

/** By text: what is not an expression is null. */
const parsed = createLru<{ readonly expression: Expression | null }>(10_000);

function expressionOf(conditions: Readonly<Record<string, unknown>>): Expression | null {
  const text = String(conditions['expression'] ?? '');
  const known = parsed.get(text) ?? { expression: parse(text) };
  parsed.set(text, known);
  return known.expression;
}

function parse(text: string): Expression | null {
  try {
    return parseExpression(text);
  } catch (error) {
    if (error instanceof ConditionError) return null;
    throw error;
  }
}

/** What a context and an entry of its list leave open: who looks, beside a subject that the entry names, and when. */
function knowledgeOf(
  { id, attributes }: ListedResource,
  { subject, action }: { readonly subject: string | null; readonly action: string },
): (path: string) => Known {
  const facts: Facts = {
    ...{ subjectId: subject ?? '', subject: {}, roleClearance: undefined, heldRoles: [] },
    ...{ action, resourceType: 'context', resourceId: id, resource: attributes, contextId: id, planId: undefined },
    ...{ environment: {}, timeMs: 0, ip: undefined },
  };
  const told = new Set(['environment.action', 'environment.contextId', 'environment.planId']);
  return (path) => {
    if (path.startsWith('resource.') || told.has(path) || (path === 'subject.id' && subject !== null))
      return { value: compileReader(path)(facts) };
    return path.startsWith('subject.') || path === 'environment.time' ? 'later' : 'untold';
  };
}

/**
 * Whom an access list shows its context: those of entries on `context` or `*`, whatever they may do there, under their
 * conditions. What of a condition hangs on the context is settled here. Of a context that is not given, and where a
 * condition looks at what is not known when contexts are read (addresses), entries with conditions show it to nobody.
 */
export function readersOf(
  permissions: readonly ListedPermission[] | null | undefined,
  resource: ListedResource | null = null,
): Readers {
  const keys = new Set<string>();
  const conditional = new Map<string, ConditionalReader>();
  let room = maxPathsLength;
  for (const { principal, principalType, resource: on, actions, conditions } of permissions ?? []) {
    const type = principalType.toLowerCase();
    if ((on !== 'context' && on !== '*') || actions.length === 0 || type === 'group') continue;
    const key = type === 'role' ? roleKey(principal) : subjectKey(principal);
    if (!conditions || Object.keys(conditions).length === 0) {
      keys.add(key);
      continue;
    }
    const expression = resource && expressionOf(conditions);
    if (!expression) continue;
    for (const action of actions) {
      const known = { subject: type === 'role' ? null : principal, action: action.toLowerCase() };
      const when = settle(expression, knowledgeOf(resource, known));
      const verdict = verdictOf(when);
      if (verdict === true) keys.add(key);
      const path = verdict === null ? toJsonPath(when) : null;
      if (path === null || conditional.has(nameOf({ key, path }))) continue;
      room -= path.length;
      if (room >= 0) conditional.set(nameOf({ key, path }), { key, when, path });
    }
  }
  const left = [...conditional.values()]
    .filter(({ key }) => !keys.has(key))
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  for (const { key } of left) keys.add(whenKey(key));
  // Who compares the keys of a list with those of another notices that its conditions are others.
  if (left.length > 0) keys.add(`when=${createHash('sha256').update(left.map(nameOf).join('\n')).digest('base64url')}`);
  return { readers: [...keys].sort(), conditional: left };
}

const nameOf = ({ key, path }: Pick<ConditionalReader, 'key' | 'path'>) => `${key} ${path}`;

/** The keys a principal reads by: its own and those of the roles in its token. */
export function readerKeys({ subject, roles }: Pick<Principal, 'subject' | 'roles'>): readonly string[] {
  return [subjectKey(subject), ...roles.map(roleKey)];
}

/** The keys by which an index finds contexts that may be shown to the principal under conditions. */
export const conditionalKeys = (principal: Pick<Principal, 'subject' | 'roles'>) => readerKeys(principal).map(whenKey);

/** Recorded attributes of the subject, and what its token says: that is never recorded otherwise. */
export function subjectFacts(principal: Principal): Attributes {
  const { subject: id, roles, subjectType: type } = principal;
  return { ...attributesOf(principal), id, roles, type };
}

const told = new WeakMap<object, { readonly attributes: Attributes; readonly text: string }>();

/** All that is told of a principal but the time, as the end of an object of JSON; its attributes are replaced, never changed. */
function tellFacts(principal: Principal, attributes: Attributes): string {
  const known = told.get(principal);
  if (known?.attributes === attributes) return known.text;
  const { n, k, ...rest } = flatten(subjectFacts(principal), 'subject');
  const filled = Object.entries(rest).filter(([, values]) => Object.keys(values).length > 0);
  const numbers = JSON.stringify(n).slice(1);
  const others = JSON.stringify({ ...Object.fromEntries(filled), k: { ...k, 'environment.time': 'n' } }).slice(1);
  const text = `${numbers === '}' ? '' : ','}${numbers},${others}`;
  told.set(principal, { attributes, text });
  return text;
}

/** What conditions of access lists may ask of a principal now, for PostgreSQL: JSON. Empty where nobody knows: then none holds. */
export function readerFacts(principal: Principal): string {
  const attributes = attributesOf(principal);
  return attributes === null ? '' : `{"n":{"environment.time":${Date.now()}${tellFacts(principal, attributes)}`;
}

/**
 * Condition: entries with conditions of a JSON column show the context to the viewer.
 * @param column an expression, `keys` that of a text[], `facts` that of what `readerFacts` tells; paths are data, never text of a statement
 */
export function conditionallyListed(column: string, keys: string, facts: string): string {
  return `EXISTS (SELECT 1 FROM jsonb_array_elements(${column}) AS listed(entry) WHERE listed.entry->>'key' = ANY (${keys}) AND nullif(${facts}, '')::jsonb @@ (listed.entry->>'path')::jsonpath)`;
}

const compiled = new WeakMap<Expression, Predicate>();

function holdsNow(when: Expression, principal: Principal): boolean {
  if (attributesOf(principal) === null) return false;
  const predicate = compiled.get(when) ?? compileNode(when, compileReader);
  compiled.set(when, predicate);
  try {
    return predicate({
      ...{ subjectId: principal.subject, subject: subjectFacts(principal), roleClearance: undefined },
      ...{ heldRoles: principal.roles, action: '', resourceType: 'context', resourceId: undefined, resource: {} },
      ...{ contextId: undefined, planId: undefined, environment: {}, timeMs: Date.now(), ip: undefined },
    });
  } catch (error) {
    if (error instanceof EvaluationError) return false;
    throw error;
  }
}

/** Whether one of the keys is the principal's, or one whose condition holds for it now. */
export function isReader({ readers, conditional }: Partial<Readers>, principal: Principal): boolean {
  if (!readers?.length) return false;
  const keys = readerKeys(principal);
  return (
    keys.some((key) => readers.includes(key)) ||
    (conditional ?? []).some(({ key, when }) => keys.includes(key) && holdsNow(when, principal))
  );
}
