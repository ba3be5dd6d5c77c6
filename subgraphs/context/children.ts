import {
  type Connection,
  type CursorValue,
  createConnection,
  type Page,
  type PageInput,
  readPage,
} from '#shared/connection.ts';
import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { participates } from '#shared/contextAudience.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { administeredCondition, seesEverything } from './access.ts';
import { likePattern, Parameters, readableEntry } from './filter.ts';
import type {
  ChildListKey,
  ContextMetadataEntryRow,
  ContextMetadataVersionRow,
  ContextParticipantRow,
  ContextSessionRow,
  ContextSharedStateRow,
  ContextVersionRow,
} from './rows.ts';
import { assembleSharedState } from './sharedState.ts';
import { isoText } from './store.ts';

/** One kind of list below a context: its table, its order, and what a caller may select of it. */
export interface ChildList<Row> {
  readonly name: string;
  readonly table: string;
  readonly columns: string;
  /** Sort key: column, type, and the field of the row it is read from. The last one is unique within the context. */
  readonly sort: readonly { readonly column: string; readonly type: string; readonly field: keyof Row & string }[];
  readonly descending: boolean;
  readonly condition: (parameters: Parameters, scope: RequestScope, key: ChildListKey) => string | null;
  readonly tagOf: (row: Row) => string | null;
}

/** Select list of a participant under the alias `p`. */
export const participantColumns = `p.tenant_id AS "tenantId", p.id, p.context_id AS "contextId", p.agent_id AS "agentId", p.type, p.display_name AS "displayName", p.status, p.roles, p.capabilities, p.permissions,
  ${isoText('p.joined_at')} AS "joinedAt", ${isoText('p.left_at')} AS "leftAt", ${isoText('p.last_activity_at')} AS "lastActivityAt", p.max_concurrent_tasks AS "maxConcurrentTasks", p.timeout_ms AS "timeoutMs",
  p.notifications, p.approved_by AS "approvedBy", ${isoText('p.approved_at')} AS "approvedAt", p.version`;

/** Select list of a session under the alias `p`. */
export const sessionColumns = `p.tenant_id AS "tenantId", p.id, p.context_id AS "contextId", p.name, p.type, p.status, p.participant_ids AS "participantIds", p.active_participant_ids AS "activeParticipantIds",
  p.max_duration_ms AS "maxDurationMs", p.persist_state AS "persistState", p.isolation_level AS "isolationLevel", p.auto_save AS "autoSave", p.compression, ${isoText('p.started_at')} AS "startedAt", ${isoText('p.ended_at')} AS "endedAt", p.version`;

/** Select list of a metadata entry under the alias `p`. */
export const metadataColumns = `p.context_id AS "contextId", p.key, p.value, p.type, p.description, p.access_level AS "accessLevel", p.version, ${isoText('p.updated_at')} AS "updatedAt", p.updated_by AS "updatedBy"`;

const statusCondition = (parameters: Parameters, statuses: readonly string[]) =>
  `p.status = ANY(${parameters.bind(statuses, 'text[]')})`;

export const participantList: ChildList<ContextParticipantRow> = {
  name: 'participants',
  table: 'participant',
  columns: participantColumns,
  sort: [
    { column: 'joined_at', type: 'timestamptz', field: 'joinedAt' },
    { column: 'id', type: 'uuid', field: 'id' },
  ],
  descending: false,
  condition: (parameters, _scope, { statuses }) =>
    statuses ? statusCondition(parameters, statuses) : participates('p.status'),
  tagOf: (row) => `ContextParticipant:${row.id}`,
};

export const sessionList: ChildList<ContextSessionRow> = {
  name: 'sessions',
  table: 'session',
  columns: sessionColumns,
  sort: [
    { column: 'started_at', type: 'timestamptz', field: 'startedAt' },
    { column: 'id', type: 'uuid', field: 'id' },
  ],
  descending: false,
  condition: (parameters, _scope, { statuses }) => (statuses ? statusCondition(parameters, statuses) : null),
  tagOf: (row) => `ContextSession:${row.id}`,
};

export const metadataList: ChildList<ContextMetadataEntryRow> = {
  name: 'metadata',
  table: 'metadata',
  columns: metadataColumns,
  sort: [{ column: 'key', type: 'text', field: 'key' }],
  descending: false,
  condition(parameters, scope, { pattern }) {
    const matches = pattern == null ? null : `p.key LIKE ${parameters.bind(likePattern(pattern), 'text')}`;
    // Entries that not everyone may read: the answer is the caller's own.
    scope.readTags.add(subjectBoundTag);
    const readable = seesEverything(scope.principal)
      ? null
      : `(${administeredCondition('c', scope.principal, (ids) => parameters.bind(ids, 'uuid[]'))} OR ${readableEntry('p', 'c', parameters.bind(scope.principal.subject, 'text'))})`;
    return [matches, readable].filter((part) => part !== null).join(' AND ') || null;
  },
  tagOf: () => null,
};

export const versionList: ChildList<ContextVersionRow> = {
  name: 'history',
  table: 'context_version',
  columns: `p.context_id AS "contextId", p.version, p.document, p.changed, ${isoText('p.changed_at')} AS "changedAt", p.changed_by AS "changedBy"`,
  sort: [{ column: 'version', type: 'int', field: 'version' }],
  descending: true,
  condition: () => null,
  tagOf: () => null,
};

export interface ChildPageKey {
  readonly list: ChildListKey;
  readonly page: Page;
}

/** Reads page arguments of a child list; its cursors belong to one context. @throws {VALIDATION_FAILED} {CURSOR_INVALID} */
export function readChildPage<Row>(kind: ChildList<Row>, list: ChildListKey, input: PageInput): ChildPageKey {
  const page = readPage(cursorName(kind, list), kind.sort.length, input);
  page.from?.forEach((value, index) => {
    const { type } = kind.sort[index]!;
    const fits =
      type === 'uuid'
        ? isId(value)
        : type === 'int'
          ? Number.isInteger(value) && Math.abs(value as number) < 2 ** 31
          : type === 'timestamptz'
            ? isInstant(value)
            : typeof value === 'string';
    if (!fits) throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
  });
  return { list, page };
}

/** ISO text as a row holds it: a day that the calendar has, in a year that the database knows. */
function isInstant(value: CursorValue): boolean {
  if (typeof value !== 'string' || value.length !== 24 || value.startsWith('0000')) return false;
  const time = Date.parse(value);
  return !Number.isNaN(time) && new Date(time).toISOString() === value;
}

function cursorName<Row>(kind: ChildList<Row>, { contextId }: ChildListKey): string {
  return `${kind.name}:${contextId}`;
}

/** Pages of many contexts: one statement for all that ask alike (same filter, size and place). */
export async function loadChildPages<Row extends { readonly contextId: string }>(
  sql: Sql,
  scope: RequestScope,
  kind: ChildList<Row>,
  keys: readonly ChildPageKey[],
): Promise<Connection<Row>[]> {
  const groups = new Map<string, ChildPageKey[]>();
  for (const key of keys) {
    const alike = JSON.stringify([key.list.statuses ?? null, key.list.pattern ?? null, key.page]);
    groups.set(alike, [...(groups.get(alike) ?? []), key]);
  }
  const found = new Map<ChildPageKey, Row[]>();
  await Promise.all(
    [...groups.values()].map(async (group) => {
      const { list, page } = group[0]!;
      const parameters = new Parameters();
      const tenant = parameters.bind(scope.principal.tenantId, 'text');
      const descending = kind.descending === (page.direction === 'forward');
      const order = kind.sort.map(({ column }) => `p.${column} ${descending ? 'DESC' : 'ASC'}`).join(', ');
      const conditions = [`p.tenant_id = ${tenant}`, 'p.context_id = c.id'];
      const condition = kind.condition(parameters, scope, list);
      if (condition) conditions.push(condition);
      if (page.from) {
        const values = page.from.map((value, index) => parameters.bind(value, kind.sort[index]!.type));
        conditions.push(
          `(${kind.sort.map(({ column }) => `p.${column}`).join(', ')}) ${descending ? '<' : '>'} (${values.join(', ')})`,
        );
      }
      const rows = (await sql.unsafe(
        `SELECT x.row FROM unnest(${parameters.bind(
          group.map((key) => key.list.contextId),
          'uuid[]',
        )}) WITH ORDINALITY AS k(id, ord)
         JOIN context.context c ON c.tenant_id = ${tenant} AND c.id = k.id
         CROSS JOIN LATERAL (SELECT row_to_json(r) AS row, row_number() OVER () AS place FROM (SELECT ${kind.columns} FROM context.${kind.table} p WHERE ${conditions.join(' AND ')} ORDER BY ${order} LIMIT ${page.limit + 1}) r) x
         ORDER BY k.ord, x.place`,
        parameters.values,
        { prepare: true },
      )) as unknown as { row: Row }[];
      const byContext = Map.groupBy(
        rows.map(({ row }) => row),
        (row) => row.contextId,
      );
      for (const key of group) found.set(key, byContext.get(key.list.contextId) ?? []);
    }),
  );
  return keys.map((key) => {
    const rows = found.get(key)!;
    for (const row of rows) {
      const tag = kind.tagOf(row);
      if (tag !== null) scope.readTags.add(tag);
    }
    scope.readTags.add(`Context:${key.list.contextId}:${kind.name}`).add(`Context:${key.list.contextId}`);
    return createConnection(cursorName(kind, key.list), key.page, rows, (row) =>
      kind.sort.map(({ field }) => row[field] as CursorValue),
    );
  });
}

/** Totals of many contexts' lists: one statement for all that ask alike. */
export async function countChildren<Row>(
  sql: Sql,
  scope: RequestScope,
  kind: ChildList<Row>,
  keys: readonly ChildListKey[],
): Promise<number[]> {
  const groups = Map.groupBy(keys, ({ statuses, pattern }) => JSON.stringify([statuses ?? null, pattern ?? null]));
  const totals = new Map<ChildListKey, number>();
  await Promise.all(
    [...groups.values()].map(async (group) => {
      const parameters = new Parameters();
      const condition = kind.condition(parameters, scope, group[0]!);
      const rows = (await sql.unsafe(
        `SELECT p.context_id AS id, count(*)::int AS n FROM context.${kind.table} p JOIN context.context c ON c.tenant_id = p.tenant_id AND c.id = p.context_id
         WHERE p.tenant_id = ${parameters.bind(scope.principal.tenantId, 'text')} AND p.context_id = ANY(${parameters.bind(
           group.map((key) => key.contextId),
           'uuid[]',
         )})${condition ? ` AND ${condition}` : ''} GROUP BY p.context_id`,
        parameters.values,
        { prepare: true },
      )) as unknown as { id: string; n: number }[];
      const byContext = new Map(rows.map(({ id, n }) => [id, n]));
      for (const key of group) {
        totals.set(key, byContext.get(key.contextId) ?? 0);
        scope.readTags.add(`Context:${key.contextId}:${kind.name}`);
      }
    }),
  );
  return keys.map((key) => totals.get(key)!);
}

/** Rows of one kind by id, whichever context they belong to. */
export async function findChildren<Row>(
  sql: Sql | SqlTransaction,
  tenantId: string,
  kind: ChildList<Row>,
  ids: readonly string[],
): Promise<readonly Row[]> {
  return (await sql.unsafe(
    `SELECT ${kind.columns} FROM context.${kind.table} p WHERE p.tenant_id = $1 AND p.id = ANY($2::uuid[])`,
    [tenantId, ids as string[]],
    { prepare: true },
  )) as unknown as Row[];
}

/** Earlier values of metadata entries, newest first. */
export async function findMetadataVersions(
  sql: Sql,
  tenantId: string,
  keys: readonly { readonly contextId: string; readonly key: string }[],
): Promise<ContextMetadataVersionRow[][]> {
  const rows = (await sql.unsafe(
    `SELECT p.context_id AS "contextId", p.key, p.version, p.value, ${isoText('p.updated_at')} AS "updatedAt", p.updated_by AS "updatedBy"
     FROM unnest($2::uuid[], $3::text[]) AS k(context_id, key) JOIN context.metadata_version p ON p.tenant_id = $1 AND p.context_id = k.context_id AND p.key = k.key
     WHERE p.replaced_at > now() - interval '30 days' ORDER BY p.version DESC`,
    [tenantId, keys.map(({ contextId }) => contextId), keys.map(({ key }) => key)],
    { prepare: true },
  )) as unknown as ContextMetadataVersionRow[];
  const identity = (entry: { contextId: string; key: string }) => `${entry.contextId}/${entry.key}`;
  const byEntry = Map.groupBy(rows, identity);
  return keys.map((key) => (byEntry.get(identity(key)) ?? []).slice(0, 10));
}

/** Shared state of many contexts: version, checksum and entries of one moment. */
export async function findSharedStates(
  sql: Sql,
  tenantId: string,
  contextIds: readonly string[],
): Promise<ContextSharedStateRow[]> {
  const rows = (await sql.unsafe(
    `SELECT c.id, c.shared_version AS version, c.shared_checksum AS checksum, ${isoText('c.shared_updated_at')} AS "updatedAt",
            (SELECT COALESCE(json_agg(json_build_array(s.key, s.value)), '[]') FROM context.shared_key s WHERE s.tenant_id = c.tenant_id AND s.context_id = c.id AND s.value IS NOT NULL) AS entries
     FROM context.context c WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[])`,
    [tenantId, contextIds as string[]],
    { prepare: true },
  )) as unknown as { id: string; version: number; checksum: string; updatedAt: string; entries: [string, unknown][] }[];
  const byContext = new Map(
    rows.map(({ id, entries, ...head }) => [
      id,
      { ...head, ...assembleSharedState(entries.map(([key, value]) => ({ key, value }))) },
    ]),
  );
  return contextIds.map((id) => byContext.get(id)!);
}
