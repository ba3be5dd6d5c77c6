import type { Sql } from '#shared/sql.ts';
import type { DialogRow } from '../rows.ts';

interface MetricsRow {
  messages: number;
  bytes: number | null;
  responseMs: number | null;
  sentiment: number | null;
  actionItems: number;
  decisions: number;
  delivered: number;
  read: number;
  receipts: number;
  byType: Record<string, number> | null;
  bySender: Record<string, number> | null;
}

const metricsText = `
WITH said AS (
  SELECT m.type, coalesce(m.sender_id::text, m.sender_subject, m.role) AS sender, octet_length(m.text) AS bytes, m.created_at,
    lag(m.created_at) OVER w AS before_at, lag(coalesce(m.sender_id::text, m.sender_subject, m.role)) OVER w AS before_sender
  FROM dialog.message m WHERE m.tenant_id = $1 AND m.dialog_id = $2 WINDOW w AS (ORDER BY m.sequence)
), found AS (
  SELECT avg((a.result->'sentiment'->>'compound')::float8) AS sentiment, coalesce(sum(a.action_items), 0)::int AS action_items, coalesce(sum(a.decisions), 0)::int AS decisions
  FROM dialog.message_analysis a WHERE a.tenant_id = $1 AND a.dialog_id = $2
), cursors AS (
  SELECT sum(least(c.delivered_upto, s.last_sequence)) AS delivered, sum(least(c.read_upto, s.last_sequence)) AS read, sum(s.last_sequence) AS total
  FROM dialog.participant_cursor c JOIN dialog.participant p ON p.tenant_id = c.tenant_id AND p.id = c.participant_id AND p.status = 'ACTIVE'
  JOIN dialog.dialog_state s ON s.tenant_id = c.tenant_id AND s.dialog_id = c.dialog_id
  WHERE c.tenant_id = $1 AND c.dialog_id = $2
)
SELECT (SELECT count(*)::int FROM said) AS messages, (SELECT avg(bytes)::float8 FROM said) AS bytes,
  (SELECT (avg(extract(epoch FROM created_at - before_at)) * 1000)::float8 FROM said WHERE before_sender <> sender) AS "responseMs",
  found.sentiment, found.action_items AS "actionItems", found.decisions,
  coalesce(cursors.delivered, 0)::float8 AS delivered, coalesce(cursors.read, 0)::float8 AS read, coalesce(cursors.total, 0)::float8 AS receipts,
  (SELECT json_object_agg(type, n) FROM (SELECT type, count(*)::int AS n FROM said GROUP BY type) t) AS "byType",
  (SELECT json_object_agg(sender, n) FROM (SELECT sender, count(*)::int AS n FROM said GROUP BY sender) t) AS "bySender"
FROM found, cursors`;

/** Figures of one dialog, computed from its messages, cursors and analyses. */
export async function readMetrics(sql: Sql, dialog: DialogRow) {
  const [row] = (await sql.unsafe(metricsText, [dialog.tenantId, dialog.id], {
    prepare: true,
  })) as unknown as MetricsRow[];
  const found = row!;
  const begun = Date.parse(dialog.startedAt ?? dialog.createdAt);
  const durationMs = Math.max(0, Date.parse(dialog.endedAt ?? new Date().toISOString()) - begun);
  const counts = (map: Record<string, number> | null) =>
    Object.entries(map ?? {})
      .map(([value, count]) => ({ value, count, share: found.messages === 0 ? 0 : count / found.messages }))
      .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1));
  return {
    dialogId: dialog.id,
    messageCount: found.messages,
    participantCount: dialog.participantCount,
    activeParticipants: dialog.activeCount,
    durationMs,
    messagesPerMinute: durationMs === 0 ? 0 : found.messages / (durationMs / 60_000),
    averageMessageBytes: found.bytes ?? 0,
    averageResponseMs: found.responseMs,
    deliveredShare: found.receipts === 0 ? null : found.delivered / found.receipts,
    readShare: found.receipts === 0 ? null : found.read / found.receipts,
    averageSentiment: found.sentiment,
    actionItems: found.actionItems,
    decisions: found.decisions,
    messagesByType: counts(found.byType),
    messagesByParticipant: counts(found.bySender),
  };
}
