import type { SqlTransaction } from '#shared/sql.ts';
import { participantColumns, sessionColumns } from './children.ts';
import type { ContextParticipantRow, ContextRow, ContextSessionRow } from './rows.ts';

/** A participant that is looked for: by its id, or as the agent that takes part at present. */
export interface Wanted {
  readonly tenantId: string;
  readonly contextId: string;
  readonly participantId?: string | undefined;
  readonly agentId?: string | undefined;
}

const lockText = `
WITH wanted AS (
  SELECT p.tenant_id, p.id FROM unnest($1::text[], $2::uuid[], $3::text[]) AS k(tenant_id, context_id, agent_id)
  JOIN context.participant p USING (tenant_id, context_id, agent_id) WHERE p.status <> 'LEFT'
  UNION
  SELECT p.tenant_id, p.id FROM unnest($4::text[], $5::uuid[], $6::uuid[]) AS k(tenant_id, context_id, id)
  JOIN context.participant p USING (tenant_id, context_id, id)
)
SELECT ${participantColumns} FROM context.participant p JOIN wanted USING (tenant_id, id) ORDER BY p.tenant_id, p.id FOR UPDATE OF p`;

/** Participants of contexts that are locked already, locked in id order: the mark of the idle takes no context's lock. */
export async function lockParticipants(
  tx: SqlTransaction,
  wanted: readonly Wanted[],
): Promise<readonly ContextParticipantRow[]> {
  const agents = wanted.filter(({ agentId }) => agentId !== undefined);
  const ids = wanted.filter(({ participantId }) => participantId !== undefined);
  return (await tx.unsafe(
    lockText,
    [
      agents.map(({ tenantId }) => tenantId),
      agents.map(({ contextId }) => contextId),
      agents.map(({ agentId }) => agentId!),
      ids.map(({ tenantId }) => tenantId),
      ids.map(({ contextId }) => contextId),
      ids.map(({ participantId }) => participantId!),
    ],
    { prepare: true },
  )) as unknown as ContextParticipantRow[];
}

/** How many ask to join, by `tenant/context`: of the locked contexts those alone that are joined by approval. */
export async function countWaiting(tx: SqlTransaction, contexts: readonly ContextRow[]): Promise<Map<string, number>> {
  const asked = contexts.filter(({ accessControl }) => accessControl.joinPolicy === 'APPROVAL');
  if (asked.length === 0) return new Map();
  const rows = (await tx.unsafe(
    `SELECT k.tenant_id || '/' || k.id AS key, (SELECT count(*) FROM context.participant p
       WHERE p.tenant_id = k.tenant_id AND p.context_id = k.id AND p.status = 'JOINING')::int AS n
     FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)`,
    [asked.map(({ tenantId }) => tenantId), asked.map(({ id }) => id)],
    { prepare: true },
  )) as unknown as { key: string; n: number }[];
  return new Map(rows.map(({ key, n }) => [key, n]));
}

/** Columns of a participant: database name, row name, type in the JSON record set. */
const columns = [
  ['tenant_id', 'tenantId', 'text'],
  ['id', 'id', 'uuid'],
  ['context_id', 'contextId', 'uuid'],
  ['agent_id', 'agentId', 'text'],
  ['type', 'type', 'text'],
  ['display_name', 'displayName', 'text'],
  ['status', 'status', 'text'],
  ['roles', 'roles', 'text[]'],
  ['capabilities', 'capabilities', 'text[]'],
  ['permissions', 'permissions', 'text[]'],
  ['joined_at', 'joinedAt', 'timestamptz'],
  ['left_at', 'leftAt', 'timestamptz'],
  ['last_activity_at', 'lastActivityAt', 'timestamptz'],
  ['max_concurrent_tasks', 'maxConcurrentTasks', 'int'],
  ['timeout_ms', 'timeoutMs', 'bigint'],
  ['notifications', 'notifications', 'jsonb'],
  ['approved_by', 'approvedBy', 'text'],
  ['approved_at', 'approvedAt', 'timestamptz'],
  ['version', 'version', 'int'],
] as const satisfies readonly (readonly [string, keyof ContextParticipantRow, string])[];

const names = columns.map(([column]) => column).join(', ');

const upsertText = `
INSERT INTO context.participant (${names})
SELECT ${columns.map(([column]) => `i.${column}`).join(', ')}
FROM json_to_recordset($1::text::json) AS i(${columns.map(([column, , type]) => `${column} ${type}`).join(', ')}, ord int)
ORDER BY i.ord
ON CONFLICT (tenant_id, id) DO UPDATE SET ${columns
  .slice(5)
  .map(([column]) => `${column} = EXCLUDED.${column}`)
  .join(', ')}`;

/** Writes whole rows in their order: who leaves does so before the same agent is there again. */
export async function upsertParticipants(tx: SqlTransaction, rows: readonly ContextParticipantRow[]): Promise<void> {
  if (rows.length === 0) return;
  const records = rows.map((row, ord) => ({
    ...Object.fromEntries(columns.map(([column, name]) => [column, row[name]])),
    ord,
  }));
  await tx.unsafe(upsertText, [JSON.stringify(records)], { prepare: true });
}

/** Takes those who left off the sessions they were active in, and answers these sessions. */
export async function leaveSessions(
  tx: SqlTransaction,
  leavers: readonly ContextParticipantRow[],
): Promise<readonly ContextSessionRow[]> {
  if (leavers.length === 0) return [];
  return (await tx.unsafe(
    `WITH gone AS (
       SELECT tenant_id, context_id, array_agg(id) AS ids FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS g(tenant_id, context_id, id) GROUP BY tenant_id, context_id
     ), p AS (
       UPDATE context.session s SET active_participant_ids = ARRAY(SELECT a.id FROM unnest(s.active_participant_ids) WITH ORDINALITY AS a(id, ord) WHERE a.id <> ALL (gone.ids) ORDER BY a.ord), version = s.version + 1
       FROM gone WHERE s.tenant_id = gone.tenant_id AND s.context_id = gone.context_id AND s.active_participant_ids && gone.ids RETURNING s.*
     ) SELECT ${sessionColumns} FROM p ORDER BY p.started_at, p.id`,
    [leavers.map(({ tenantId }) => tenantId), leavers.map(({ contextId }) => contextId), leavers.map(({ id }) => id)],
    { prepare: true },
  )) as unknown as ContextSessionRow[];
}

/** Writes how many take part in the contexts. */
export async function writeCounts(tx: SqlTransaction, contexts: readonly ContextRow[]): Promise<void> {
  if (contexts.length === 0) return;
  await tx.unsafe(
    `UPDATE context.context c SET participant_count = n.count, last_activity_at = GREATEST(c.last_activity_at, n.at::timestamptz)
     FROM unnest($1::text[], $2::uuid[], $3::int[], $4::text[]) AS n(tenant_id, id, count, at) WHERE c.tenant_id = n.tenant_id AND c.id = n.id`,
    [
      contexts.map(({ tenantId }) => tenantId),
      contexts.map(({ id }) => id),
      contexts.map(({ participantCount }) => participantCount),
      contexts.map(({ lastActivityAt }) => lastActivityAt),
    ],
    { prepare: true },
  );
}
