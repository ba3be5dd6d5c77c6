import type { ProtocolModule } from '../../../schema/protocol/index.ts';
import { sampleObjects } from './objects.ts';

export interface Mutant {
  id: string;
  module: ProtocolModule;
  object: unknown;
  expected: { path: string; keyword: string; property?: string };
}

const absent = Symbol('absent');

/** [module, where, new value, keyword]; an unknown or a missing property is reported at its parent. */
const rows: readonly (readonly [ProtocolModule, string, unknown, string])[] = [
  ['context', '/context_id', '0A7F3C52-91D4-4E0B-8C6A-000000000001', 'pattern'],
  ['context', '/meta/created_at', '14 March 2026', 'format'],
  ['context', '/root/environment', absent, 'required'],
  ['context', '/title', '', 'minLength'],
  ['context', '/meta/tags', ['ship', 'ship'], 'uniqueItems'],
  ['plan', '/governance', {}, 'additionalProperties'],
  ['plan', '/created_at', '2026-03-14T09:26:00Z', 'additionalProperties'],
  ['plan', '/steps', [], 'minItems'],
  ['plan', '/steps/0/order_index', 1.5, 'type'],
  ['plan', '/steps/0/order_index', -1, 'minimum'],
  ['plan', '/objective', null, 'type'],
  ['role', '/status', 'active', 'additionalProperties'],
  ['role', '/name', absent, 'required'],
  ['role', '/capabilities/0', 7, 'type'],
  ['confirm', '/target_type', 'role', 'enum'],
  ['confirm', '/decisions/0/decided_by_role', absent, 'required'],
  ['confirm', '/governance/last_confirm_ref', null, 'additionalProperties'],
  ['trace', '/root_span/span_id', '00f067aa0ba902b7', 'pattern'],
  ['trace', '/segments/1/status', 'done', 'enum'],
  ['trace', '/events/0/event_type', 'berth_assigned', 'pattern'],
  ['extension', '/version', '2.1', 'pattern'],
  ['extension', '/config', [], 'type'],
  ['dialog', '/messages', absent, 'required'],
  ['dialog', '/messages/1/sender', 'crane-1', 'additionalProperties'],
  ['dialog', '/messages/0/role', 'tool', 'enum'],
  ['collab', '/participants/0/participant_id', '', 'minLength'],
  ['collab', '/mode', 'parallel', 'enum'],
  ['collab', '/created_at', absent, 'required'],
  ['network', '/nodes/0/node_id', 'hub', 'pattern'],
  ['network', '/edges', [], 'additionalProperties'],
  ['network', '/governance/lastConfirmRef/module', 'harbour', 'enum'],
  ['core', '/modules', [], 'minItems'],
  ['core', '/modules/0/required', 'yes', 'type'],
  ['core', '/protocol_version', '', 'minLength'],
];

/** One defect each, made from the full objects. */
export const sampleMutants: readonly Mutant[] = rows.map(([module, where, value, keyword]) => {
  const object: unknown = structuredClone(sampleObjects[module]);
  const steps = where.slice(1).split('/');
  const last = steps.pop() ?? '';
  let parent: unknown = object;
  for (const step of steps) parent = Reflect.get(Object(parent), step);
  if (value === absent) Reflect.deleteProperty(Object(parent), last);
  else Reflect.set(Object(parent), last, value);
  const aboutProperty = keyword === 'required' || keyword === 'additionalProperties';
  const parentPath = steps.length === 0 ? '/' : `/${steps.join('/')}`;
  return {
    id: `${module}${where}:${keyword}`,
    module,
    object,
    expected: aboutProperty ? { path: parentPath, keyword, property: last } : { path: where, keyword },
  };
});
