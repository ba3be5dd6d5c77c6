import { z } from 'zod';
import type { Sql } from '#shared/sql.ts';
import { id } from '#shared/validation.ts';

const session = z.object({
  contextId: id,
  agentIds: z.array(z.string()),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullish(),
});

/** A session of a context, as far as its figures follow from it. */
export type SessionSpan = z.output<typeof session>;

/** What is said while a session is open. */
export interface SessionFigures {
  readonly messageCount: number;
  readonly dataSizeBytes: number;
  /** Null where nobody followed anybody else. */
  readonly averageLatencyMs: number | null;
}

/** Reads a representation that the gateway has put together of the session's own fields. */
export function readSessionSpan(representation: unknown): SessionSpan {
  return session.parse(representation);
}

const figuresText = `
WITH said AS (
  SELECT k.ord, m.created_at, coalesce(octet_length(m.text), 0) + coalesce(octet_length(m.structured_data::text), 0) AS bytes,
    coalesce(m.sender_id::text, m.sender_subject, m.role) AS sender,
    lag(m.created_at) OVER w AS before_at, lag(coalesce(m.sender_id::text, m.sender_subject, m.role)) OVER w AS before_sender
  FROM json_to_recordset($2::text::json) AS k(ord int, context_id uuid, agents text[], from_at timestamptz, to_at timestamptz)
  JOIN dialog.dialog d ON d.tenant_id = $1 AND d.context_id = k.context_id
  JOIN dialog.message m ON m.tenant_id = d.tenant_id AND m.dialog_id = d.id AND m.created_at >= k.from_at
    AND m.created_at <= coalesce(k.to_at, 'infinity') AND (cardinality(k.agents) = 0 OR m.sender_subject = ANY (k.agents))
  WINDOW w AS (PARTITION BY k.ord, m.dialog_id ORDER BY m.sequence)
)
SELECT ord, count(*)::int AS "messageCount", sum(bytes)::float8 AS "dataSizeBytes",
  (avg(extract(epoch FROM created_at - before_at)) FILTER (WHERE before_sender <> sender) * 1000)::float8 AS "averageLatencyMs"
FROM said GROUP BY ord`;

/** One for each session, in their order, in one statement. */
export async function findSessionFigures(
  sql: Sql,
  tenantId: string,
  sessions: readonly SessionSpan[],
): Promise<readonly SessionFigures[]> {
  const records = sessions.map(({ contextId, agentIds, startedAt, endedAt }, ord) => ({
    ord,
    context_id: contextId,
    agents: agentIds,
    from_at: startedAt,
    to_at: endedAt ?? null,
  }));
  const rows = (await sql.unsafe(figuresText, [tenantId, JSON.stringify(records)], {
    prepare: true,
  })) as unknown as (SessionFigures & { readonly ord: number })[];
  const found = new Map(rows.map(({ ord, ...figures }) => [ord, figures]));
  return sessions.map(
    (_session, ord) => found.get(ord) ?? { messageCount: 0, dataSizeBytes: 0, averageLatencyMs: null },
  );
}
