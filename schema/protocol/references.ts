import type { ProtocolModule } from './common.ts';
import { pointer } from './violation.ts';

/** What one object says of another; a role may be meant by its id or by its name. */
export interface ProtocolReference {
  /** null where the protocol does not say which module the id belongs to. */
  module: ProtocolModule | null;
  id: string;
  path: string;
}

/** Where each module's objects name others: a path of property names, `*` for every item of a list. */
const slots: { readonly [M in ProtocolModule]: readonly { at: string; module: ProtocolModule }[] } = {
  context: [{ at: 'owner_role', module: 'role' }],
  plan: [
    { at: 'context_id', module: 'context' },
    { at: 'steps/*/agent_role', module: 'role' },
  ],
  role: [],
  confirm: [
    { at: 'requested_by_role', module: 'role' },
    { at: 'decisions/*/decided_by_role', module: 'role' },
  ],
  trace: [
    { at: 'context_id', module: 'context' },
    { at: 'plan_id', module: 'plan' },
    { at: 'root_span/trace_id', module: 'trace' },
    { at: 'root_span/context_id', module: 'context' },
  ],
  extension: [{ at: 'context_id', module: 'context' }],
  dialog: [
    { at: 'context_id', module: 'context' },
    { at: 'messages/*/event/trace_id', module: 'trace' },
  ],
  collab: [
    { at: 'context_id', module: 'context' },
    { at: 'participants/*/role_id', module: 'role' },
  ],
  network: [
    { at: 'context_id', module: 'context' },
    { at: 'nodes/*/role_id', module: 'role' },
  ],
  core: [],
};

const commonSlots: readonly { at: string; module: ProtocolModule }[] = [
  { at: 'trace/trace_id', module: 'trace' },
  { at: 'trace/context_id', module: 'context' },
  { at: 'events/*/trace_id', module: 'trace' },
];

const targetModules: { readonly [type: string]: ProtocolModule } = {
  context: 'context',
  plan: 'plan',
  trace: 'trace',
  extension: 'extension',
};

/** Everything a valid object refers to, in the order of its shape; its own id and empty names are left out. */
export function refsOf(module: ProtocolModule, object: unknown): ProtocolReference[] {
  const references: ProtocolReference[] = [];
  const add = (to: ProtocolModule | null, id: unknown, path: string): void => {
    if (typeof id !== 'string' || id === '') return;
    if (to === module && id === idOf(module, object)) return;
    references.push({ module: to, id, path });
  };
  for (const slot of slots[module]) {
    for (const found of valuesAt(object, slot.at)) add(slot.module, found.value, found.path);
  }
  if (module === 'confirm') {
    const type = property(object, 'target_type');
    add(
      (typeof type === 'string' ? targetModules[type] : undefined) ?? null,
      property(object, 'target_id'),
      '/target_id',
    );
  }
  const confirmed = property(property(object, 'governance'), 'lastConfirmRef');
  const confirmedModule = property(confirmed, 'module');
  add(
    isProtocolModule(confirmedModule) ? confirmedModule : null,
    property(confirmed, 'id'),
    '/governance/lastConfirmRef',
  );
  for (const slot of commonSlots) {
    for (const found of valuesAt(object, slot.at)) add(slot.module, found.value, found.path);
  }
  return references;
}

/** The object's own id. @throws {TypeError} when it has none: validate first. */
export function idOf(module: ProtocolModule, object: unknown): string {
  const id = property(object, `${module}_id`);
  if (typeof id !== 'string') throw new TypeError(`expected ${module}_id in the ${module}, got ${typeof id}`);
  return id;
}

/**
 * The context an object belongs to, null where the object itself does not say: roles and core manifests have none, a
 * confirm has one only through a context as its target or through its span.
 */
export function contextIdOf(module: ProtocolModule, object: unknown): string | null {
  const own = property(object, 'context_id');
  if (typeof own === 'string') return own;
  if (module !== 'confirm') return null;
  const id =
    property(object, 'target_type') === 'context'
      ? property(object, 'target_id')
      : property(property(object, 'trace'), 'context_id');
  return typeof id === 'string' ? id : null;
}

/** A property the value itself has, never one of its prototype. */
export function property(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}

/** One place a path of names leads to; value is undefined where only the last name is missing. */
export interface Place {
  path: string;
  value: unknown;
}

/** All places a path of names (`*` for every item of a list) leads to; a missing last name is a place without value. */
export function valuesAt(root: unknown, at: string): Place[] {
  let places: { steps: (string | number)[]; value: unknown }[] = [{ steps: [], value: root }];
  for (const name of at.split('/')) {
    places = places.flatMap(({ steps, value }) => {
      if (name === '*')
        return Array.isArray(value) ? value.map((item, i) => ({ steps: [...steps, i], value: item })) : [];
      if (Array.isArray(value)) return [];
      return [{ steps: [...steps, name], value: property(value, name) }];
    });
  }
  return places.map(({ steps, value }) => ({ path: pointer(steps), value }));
}

function isProtocolModule(value: unknown): value is ProtocolModule {
  return typeof value === 'string' && Object.hasOwn(slots, value);
}
