import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { SharedStateInput } from './inputs.ts';
import { requireSharedValue, type StoredState } from './stateShape.ts';

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

type Given = Readonly<Record<string, unknown>>;

/** Without what is not given; the words of enums, which are under the names listed, in lower case. */
function toStored(given: Given, enums: readonly string[]): Record<string, unknown> {
  const stored: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined) continue;
    if (name === 'successCriteria')
      stored[name] = (value as readonly Given[]).map((one) => toStored(one, ['operator']));
    else stored[name] = enums.includes(name) ? String(value).toLowerCase() : value;
  }
  return stored;
}

const enumsOf = {
  allocated: ['status'],
  requirements: [],
  dependencies: ['type', 'status'],
  goals: ['priority', 'status'],
} as const;

/** Splits a whole state into entries; list items without an id get one. */
export function toSharedEntries(
  state: SharedStateInput | null,
  path: readonly (string | number)[],
): readonly SharedEntry[] {
  if (!state) return [];
  const entries: SharedEntry[] = [];
  const add = (key: string, value: unknown, place: readonly (string | number)[]) => {
    requireSharedValue(key, value, place);
    entries.push({ key, value });
  };
  for (const [name, value] of Object.entries(state.variables ?? {})) entries.push({ key: `variables.${name}`, value });
  for (const section of ['allocated', 'requirements'] as const)
    for (const [index, { name, ...given }] of (state.resources?.[section] ?? []).entries())
      add(`resources.${section}.${name}`, toStored(given, enumsOf[section]), [...path, 'resources', section, index]);
  for (const section of ['dependencies', 'goals'] as const)
    for (const [index, given] of (state[section] ?? []).entries()) {
      const id = given.id ?? newId();
      add(`${section}.${id}`, { ...toStored(given, enumsOf[section]), id }, [...path, section, index]);
    }
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
export function assembleSharedState(entries: readonly SharedEntry[]): StoredState {
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
