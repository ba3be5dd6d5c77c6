import { type Connection, createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { toEventRow } from '#shared/eventSource.ts';
import type { EventRow } from '#shared/events.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { type SubgraphName, subgraphNames } from '../../names.ts';
import { modulesByDatabase } from '../audit/databases.ts';
import { mergeByTime } from '../audit/list.ts';
import { type LogFilter, likePatterns, logFilter } from './inputs.ts';

const list = 'events';

export interface LoggedEvent extends EventRow {
  readonly position: number;
}

/** Last position handed on of each module, in the order of their names; null where none was. */
export type Places = readonly (number | null)[];
export const noPlaces: Places = subgraphNames.map(() => null);

interface Reading {
  readonly filter: LogFilter;
  readonly places: Places;
  readonly limit: number;
  readonly order: 'newest first' | 'oldest first';
}

/** The events of all modules, as long as they are kept. */
export function createEventReading({ sqlOf }: Pick<ModuleRuntime, 'sqlOf'>) {
  async function read(tenantId: string, { filter, places, limit, order }: Reading): Promise<readonly LoggedEvent[]> {
    const newest = order === 'newest first';
    const found: LoggedEvent[] = [];
    for (const [db, modules] of modulesByDatabase(sqlOf, filter.modules ?? subgraphNames)) {
      const values: unknown[] = [];
      const bind = (value: unknown, type: string) => `$${values.push(value)}::${type}`;
      const conditions = [`e.tenant_id = ${bind(tenantId, 'text')}`, `e.type NOT LIKE 'delivery.%'`];
      if (filter.patterns != null) conditions.push(`e.type LIKE ANY(${bind(likePatterns(filter.patterns), 'text[]')})`);
      if (filter.streamId != null) conditions.push(`e.stream_id = ${bind(filter.streamId, 'uuid')}`);
      if (filter.actor != null) conditions.push(`e.actor = ${bind(filter.actor, 'text')}`);
      if (filter.from != null) conditions.push(`e.created_at >= ${bind(filter.from.toISOString(), 'timestamptz')}`);
      if (filter.to != null) conditions.push(`e.created_at < ${bind(filter.to.toISOString(), 'timestamptz')}`);
      const most = bind(limit, 'int');
      const asked = {
        correlationId: filter.correlationId == null ? null : bind(filter.correlationId, 'text'),
        categories: filter.categories == null ? null : bind(filter.categories, 'text[]'),
        priorities: filter.priorities == null ? null : bind(filter.priorities, 'text[]'),
      };
      const parts = modules.map((module) => {
        // What modules tell has no envelope: it is of no category, and as urgent as most.
        const envelope = (name: string) => (module === 'platform' ? `e.data->>'${name}'` : 'NULL::text');
        const ofEnvelope = [
          ...(asked.correlationId === null ? [] : [`${envelope('correlationId')} = ${asked.correlationId}`]),
          ...(asked.categories === null ? [] : [`${envelope('category')} = ANY(${asked.categories})`]),
          ...(asked.priorities === null
            ? []
            : [`coalesce(${envelope('priority')}, 'NORMAL') = ANY(${asked.priorities})`]),
        ];
        const place = places[subgraphNames.indexOf(module)];
        const behind = place == null ? [] : [`e.position ${newest ? '<' : '>'} ${bind(place, 'bigint')}`];
        return `(SELECT '${module}' AS module, tenant_id, stream_id, sequence, event_id, type, actor, data, tags, traceparent, created_at, position
          FROM ${module}.event e WHERE ${[...conditions, ...ofEnvelope, ...behind].join(' AND ')}
          ORDER BY e.position ${newest ? 'DESC' : 'ASC'} LIMIT ${most})`;
      });
      const rows = (await db.unsafe(parts.join(' UNION ALL '), values as never[], {
        prepare: true,
      })) as unknown as (Parameters<typeof toEventRow>[1] & { module: SubgraphName; position: number })[];
      found.push(...rows.map((row) => ({ ...toEventRow(row.module, row), position: row.position })));
    }
    return mergeByTime(found, order).slice(0, limit);
  }

  return {
    read,

    /** @throws {VALIDATION_FAILED} {CURSOR_INVALID} */
    async page(scope: RequestScope, given: unknown, input: PageInput): Promise<Connection<LoggedEvent>> {
      const filter = parseInput(logFilter, given, ['filter']);
      const page = readPage(list, subgraphNames.length, input);
      const places = (page.from ?? noPlaces) as Places;
      const rows = await read(scope.principal.tenantId, {
        filter,
        places,
        limit: page.limit + 1,
        order: 'newest first',
      });
      const cursors = new Map(passed(places, rows).map((reached, at) => [rows[at]!.eventId, reached]));
      return createConnection(list, page, rows, (row) => cursors.get(row.eventId)!);
    },
  };
}

/** How far each module has been read after each of the rows. */
export function passed(places: Places, rows: readonly LoggedEvent[]): readonly Places[] {
  const reached = [...places];
  return rows.map(({ module, position }) => {
    reached[subgraphNames.indexOf(module)] = position;
    return [...reached];
  });
}
