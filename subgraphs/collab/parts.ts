import type { RecordShape } from '#shared/record.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ConflictRow, ResourceRow } from './conflictRows.ts';
import type { CouncilRow } from './councilRows.ts';
import type { BallotRow, DecisionRow } from './decisionRows.ts';
import {
  ballotRecord,
  broadcastRecord,
  conflictRecord,
  councilRecord,
  decisionRecord,
  participantRecord,
  recommendationRecord,
  resourceRecord,
  taskRecord,
  turnRecord,
} from './records.ts';
import type { ParticipantRow } from './rows.ts';
import type { BroadcastRow, RecommendationRow, TaskRow, TurnRow } from './workRows.ts';

/** Rows below a collaboration, by what they are. */
export interface PartRows {
  participant: ParticipantRow;
  task: TaskRow;
  decision: DecisionRow;
  ballot: BallotRow;
  council: CouncilRow;
  turn: TurnRow;
  broadcast: BroadcastRow;
  conflict: ConflictRow;
  resource: ResourceRow;
  recommendation: RecommendationRow;
}

export type PartName = keyof PartRows;

export interface Part<Row> {
  readonly table: string;
  readonly record: RecordShape<Row>;
  /** Columns of the primary key, the first of the record. */
  readonly keys: number;
  readonly keyOf: (row: Row) => string;
  /** Column by which single ones are asked for, and its type. */
  readonly idColumn: string;
  readonly idType: 'uuid' | 'text';
  /** Condition on `x`: something can still happen to it. */
  readonly open: string;
  readonly order: string;
}

/** A voter has one ballot in each round. */
export const ballotKey = ({ decisionId, round, voter }: Pick<BallotRow, 'decisionId' | 'round' | 'voter'>): string =>
  `${decisionId}/${round}/${voter}`;

const byId = { keys: 2, keyOf: ({ id }: { readonly id: string }) => id, idColumn: 'id', idType: 'uuid' } as const;

export const parts: { readonly [Name in PartName]: Part<PartRows[Name]> } = {
  participant: {
    table: 'participant',
    record: participantRecord,
    keys: 3,
    keyOf: ({ participantId }) => participantId,
    idColumn: 'participant_id',
    idType: 'text',
    open: `x.status = 'active'`,
    order: 'x.position, x.participant_id',
  },
  task: {
    ...byId,
    table: 'task',
    record: taskRecord,
    open: `x.status NOT IN ('completed', 'cancelled')`,
    order: 'x.position, x.id',
  },
  decision: {
    ...byId,
    table: 'decision',
    record: decisionRecord,
    open: `x.status IN ('proposed', 'under_review', 'voting')`,
    order: 'x.created_at, x.id',
  },
  ballot: {
    table: 'ballot',
    record: ballotRecord,
    keys: 4,
    keyOf: ballotKey,
    idColumn: 'decision_id',
    idType: 'uuid',
    open: `EXISTS (SELECT 1 FROM collab.decision d WHERE d.tenant_id = x.tenant_id AND d.id = x.decision_id AND d.round = x.round AND d.status = 'voting')`,
    order: 'x.cast_at, x.voter',
  },
  council: {
    ...byId,
    table: 'council',
    record: councilRecord,
    open: `x.status <> 'closed'`,
    order: 'x.created_at, x.id',
  },
  turn: { ...byId, table: 'turn', record: turnRecord, open: `x.status = 'dispatched'`, order: 'x.number' },
  broadcast: {
    ...byId,
    table: 'broadcast',
    record: broadcastRecord,
    open: `x.status = 'open'`,
    order: 'x.created_at, x.id',
  },
  conflict: {
    ...byId,
    table: 'conflict',
    record: conflictRecord,
    open: `x.status IN ('detected', 'proposed')`,
    order: 'x.created_at, x.id',
  },
  resource: { ...byId, table: 'resource', record: resourceRecord, open: 'true', order: 'x.created_at, x.id' },
  recommendation: {
    ...byId,
    table: 'recommendation',
    record: recommendationRecord,
    open: `x.status = 'open'`,
    order: 'x.created_at, x.id',
  },
};

export const partNames = Object.keys(parts) as readonly PartName[];

/** Which rows of a part: all, those that are open, those with these ids, or both of the last. */
export type Wanted = 'all' | 'open' | readonly string[] | { readonly openAnd: readonly string[] };

export interface PartKey {
  readonly tenantId: string;
  readonly collabId: string;
}

type Db = Pick<Sql | SqlTransaction, 'unsafe'>;

export const partColumns = <Name extends PartName>(name: Name): string => parts[name].record.select('x');

/** Rows of a part of several collaborations in one statement, in the part's order. */
export async function readPart<Name extends PartName>(
  db: Db,
  name: Name,
  wanted: 'all' | 'open',
  keys: readonly PartKey[],
): Promise<readonly PartRows[Name][]> {
  const { table, open, order } = parts[name];
  return (await db.unsafe(
    `SELECT ${partColumns(name)} FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, collab_id)
     JOIN collab.${table} x ON x.tenant_id = k.tenant_id AND x.collab_id = k.collab_id${wanted === 'open' ? ` AND ${open}` : ''}
     ORDER BY ${order}`,
    [keys.map(({ tenantId }) => tenantId), keys.map(({ collabId }) => collabId)],
    { prepare: true },
  )) as unknown as PartRows[Name][];
}

/** Single rows of a part; of ballots, those of single decisions. */
export async function readPartByIds<Name extends PartName>(
  db: Db,
  name: Name,
  keys: readonly (PartKey & { readonly id: string })[],
): Promise<readonly PartRows[Name][]> {
  const { table, idColumn, idType, order } = parts[name];
  return (await db.unsafe(
    `SELECT ${partColumns(name)} FROM unnest($1::text[], $2::uuid[], $3::${idType}[]) AS k(tenant_id, collab_id, id)
     JOIN collab.${table} x ON x.tenant_id = k.tenant_id AND x.${idColumn} = k.id AND x.collab_id = k.collab_id ORDER BY ${order}`,
    [keys.map(({ tenantId }) => tenantId), keys.map(({ collabId }) => collabId), keys.map(({ id }) => id)],
    { prepare: true },
  )) as unknown as PartRows[Name][];
}

export async function upsertPart<Name extends PartName>(
  tx: SqlTransaction,
  name: Name,
  rows: readonly PartRows[Name][],
): Promise<void> {
  const { table, record, keys } = parts[name] as Part<PartRows[Name]>;
  const names = record.names.split(', ').slice(0, keys).join(', ');
  await tx.unsafe(
    `INSERT INTO collab.${table} (${record.names}) SELECT ${record.from('x')} FROM json_to_recordset($1::text::json) AS x(${record.recordset}) ORDER BY x.ord
     ON CONFLICT (${names}) DO UPDATE SET ${record.assignments(keys)}`,
    [JSON.stringify(rows.map(record.toRecord))],
    { prepare: true },
  );
}

/** Collaboration of a single row, by its id. */
export async function findOwner(
  db: Db,
  tenantId: string,
  name: Exclude<PartName, 'participant' | 'ballot'>,
  id: string,
): Promise<string | null> {
  const [row] = (await db.unsafe(
    `SELECT collab_id AS "collabId" FROM collab.${parts[name].table} WHERE tenant_id = $1 AND id = $2`,
    [tenantId, id],
    { prepare: true },
  )) as unknown as { collabId: string }[];
  return row?.collabId ?? null;
}
