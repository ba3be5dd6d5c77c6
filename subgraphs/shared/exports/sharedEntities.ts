import type { SubgraphName } from '../../names.ts';
import type { ExportEntity } from './exportEntity.ts';

/** What every module has beside its own rows: its events, as long as they are kept, and its audit. */
export function sharedEntities(module: SubgraphName): readonly ExportEntity[] {
  return [
    {
      name: 'events',
      requires: 'event:admin',
      from: `${module}.event e`,
      alias: 'e',
      keys: [
        ['stream_id', 'uuid'],
        ['sequence', 'bigint'],
      ],
      columns: ['event_id', 'type', 'actor', 'data', 'tags', 'traceparent', 'position', 'created_at'],
      time: 'e.created_at',
      context: null,
      about: (id) => `(e.stream_id = ${id} OR e.data->>'contextId' = (${id})::text)`,
    },
    {
      name: 'audit',
      requires: 'audit:export',
      needsStepUp: true,
      from: `${module}.audit a`,
      alias: 'a',
      keys: [['position', 'bigint']],
      columns: ['id', 'action', 'resource', 'resource_id', 'actor', 'detail', 'traceparent', 'origin', 'created_at'],
      time: 'a.created_at',
      context: null,
      about: (id) => `(a.resource_id = (${id})::text OR a.detail->>'contextId' = (${id})::text)`,
    },
  ];
}
