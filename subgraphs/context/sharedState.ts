import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';

/** The four sections of a context's shared state. */
export interface SharedStateValue {
  readonly variables: Readonly<Record<string, unknown>>;
  readonly resources: {
    readonly allocated: Readonly<Record<string, unknown>>;
    readonly requirements: Readonly<Record<string, unknown>>;
  };
  readonly dependencies: readonly unknown[];
  readonly goals: readonly unknown[];
}

/** One entry as it lies in the database: `variables.budget`, `resources.allocated.gpu`, `goals.<id>`, ... */
export interface SharedEntry {
  readonly key: string;
  readonly value: unknown;
}

const mapSections = ['variables.', 'resources.allocated.', 'resources.requirements.'] as const;
const listSections = ['dependencies.', 'goals.'] as const;

/** @throws {VALIDATION_FAILED} when the key names no section or no entry in it. */
export function requireSharedKey(key: string, path: readonly (string | number)[]): void {
  const section = [...mapSections, ...listSections].find((prefix) => key.startsWith(prefix));
  if (section === undefined || key.length === section.length || key.length > 512) {
    throw new PlatformError(
      'VALIDATION_FAILED',
      `${path.join('.')}: expected variables.*, resources.allocated.*, resources.requirements.*, dependencies.* or goals.*, got ${JSON.stringify(key.slice(0, 60))}`,
      { path },
    );
  }
}

/** @throws {VALIDATION_FAILED} when an entry of a list is no object, or one of another id than its key's. */
export function requireSharedValue(key: string, value: unknown, path: readonly (string | number)[]): void {
  const section = listSections.find((prefix) => key.startsWith(prefix));
  if (section === undefined) return;
  const id = key.slice(section.length);
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject || (value as { id?: unknown }).id !== id)
    throw new PlatformError(
      'VALIDATION_FAILED',
      `${path.join('.')}: expected an object whose id is ${JSON.stringify(id.slice(0, 60))}, as in its key`,
      { path },
    );
}

export interface SharedStateInput {
  readonly variables?: Readonly<Record<string, unknown>> | null | undefined;
  readonly resources?:
    | {
        readonly allocated?: Readonly<Record<string, unknown>> | undefined;
        readonly requirements?: Readonly<Record<string, unknown>> | undefined;
      }
    | null
    | undefined;
  readonly dependencies?: readonly Readonly<Record<string, unknown>>[] | null | undefined;
  readonly goals?: readonly Readonly<Record<string, unknown>>[] | null | undefined;
}

/** Splits a whole state into entries; list items without an id get one. */
export function toSharedEntries(
  state: SharedStateInput | null,
  path: readonly (string | number)[],
): readonly SharedEntry[] {
  if (!state) return [];
  const entries: SharedEntry[] = [];
  const addMap = (prefix: string, map: Readonly<Record<string, unknown>> | null | undefined) => {
    for (const [name, value] of Object.entries(map ?? {})) entries.push({ key: prefix + name, value });
  };
  const addList = (prefix: string, list: readonly Readonly<Record<string, unknown>>[] | null | undefined) => {
    for (const item of list ?? []) {
      const id = typeof item['id'] === 'string' && item['id'] !== '' ? item['id'] : newId();
      entries.push({ key: prefix + id, value: { ...item, id } });
    }
  };
  addMap('variables.', state.variables);
  addMap('resources.allocated.', state.resources?.allocated);
  addMap('resources.requirements.', state.resources?.requirements);
  addList('dependencies.', state.dependencies);
  addList('goals.', state.goals);
  const keys = new Set<string>();
  for (const { key } of entries) {
    requireSharedKey(key, path);
    if (keys.has(key))
      throw new PlatformError(
        'VALIDATION_FAILED',
        `${path.join('.')}: expected different ids, got ${JSON.stringify(key.slice(0, 60))} twice`,
        { path },
      );
    keys.add(key);
  }
  requireStateSize(keys.size, path);
  return entries;
}

/** Puts entries together again; list items in the order of their keys. */
export function assembleSharedState(entries: readonly SharedEntry[]): SharedStateValue {
  const sorted = [...entries].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const map = (prefix: string) =>
    Object.fromEntries(
      sorted.filter(({ key }) => key.startsWith(prefix)).map(({ key, value }) => [key.slice(prefix.length), value]),
    );
  const list = (prefix: string) => sorted.filter(({ key }) => key.startsWith(prefix)).map(({ value }) => value);
  return {
    variables: map('variables.'),
    resources: { allocated: map('resources.allocated.'), requirements: map('resources.requirements.') },
    dependencies: list('dependencies.'),
    goals: list('goals.'),
  };
}

/** SHA-256 over the canonical JSON (RFC 8785) of the whole state, hex. */
export function checksumOf(entries: readonly SharedEntry[]): string {
  return createHash('sha256')
    .update(canonicalize(assembleSharedState(entries)) ?? '')
    .digest('hex');
}

/** Keys of one context's state at most. */
export const maxSharedKeys = 5_000;

/** @throws {QUOTA_EXCEEDED} when the state would hold more keys than it may. */
export function requireStateSize(keys: number, path: readonly (string | number)[]): void {
  if (keys > maxSharedKeys)
    throw new PlatformError('QUOTA_EXCEEDED', `the shared state would hold ${keys} keys of at most ${maxSharedKeys}`, {
      path,
      details: { limit: maxSharedKeys, used: keys },
    });
}
