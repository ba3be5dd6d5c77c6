import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { type Viewer, visibleCondition } from '../access.ts';
import type { Correlated, LinkCounts } from '../records/strengths.ts';
import type { TraceRow } from '../rows.ts';
import { linkingTo } from './links.ts';

const maxOfKind = 20;

/** A pair of traces: one that is asked about and one named by it. */
export interface TracePair {
  readonly of: string;
  readonly id: string;
}

export interface CorrelatedRow extends Correlated {
  /** The trace that it was found for. */
  readonly of: string;
  /** Links of its spans to that trace. */
  readonly links: LinkCounts['to'];
}

/**
 * Traces that may hang together with each of these: those named, those whose spans link to it, those of the same
 * correlation id or plan, and those of the same context that ran at the same time, the newest twenty of each kind, as far as the viewer sees them.
 */
export async function findCorrelated(
  db: Sql | SqlTransaction,
  traces: readonly TraceRow[],
  options: { readonly named: readonly TracePair[]; readonly viewer: Viewer | null; readonly onlyNamed?: boolean },
): Promise<readonly CorrelatedRow[]> {
  if (traces.length === 0) return [];
  return (await db.unsafe(
    `WITH k AS MATERIALIZED (SELECT t.* FROM trace.trace t WHERE t.tenant_id = $1 AND t.id = ANY($2::uuid[])), found AS (
       SELECT a.of, a.id FROM unnest($3::uuid[], $4::uuid[]) AS a(of, id)
       UNION SELECT k.id, l.id FROM k CROSS JOIN LATERAL (
         (SELECT c.id FROM trace.trace c WHERE c.tenant_id = $1 AND c.correlation_id = k.correlation_id ORDER BY c.created_at DESC LIMIT ${maxOfKind})
         UNION (SELECT c.id FROM trace.trace c WHERE c.tenant_id = $1 AND c.plan_id = k.plan_id ORDER BY c.created_at DESC LIMIT ${maxOfKind})
         UNION (SELECT c.id FROM trace.trace c WHERE c.tenant_id = $1 AND c.context_id = k.context_id AND c.start_ns < k.end_ns AND c.end_ns > k.start_ns
           ORDER BY c.created_at DESC LIMIT ${maxOfKind})
         UNION (${linkingTo('k.w3c_id', maxOfKind)})) AS l WHERE NOT $6::boolean
     )
     SELECT f.of, t.id, t.correlation_id AS "correlationId", t.plan_id AS "planId", t.context_id AS "contextId", t.start_ns::text AS "startNs",
       t.end_ns::text AS "endNs", s.services, s.links
     FROM found f JOIN k ON k.id = f.of JOIN trace.trace t ON t.tenant_id = $1 AND t.id = f.id
     CROSS JOIN LATERAL (
       SELECT coalesce(array_agg(DISTINCT s.service), '{}') AS services,
         (count(*) FILTER (WHERE s.detail->'links' @> jsonb_build_array(jsonb_build_object('traceId', k.w3c_id))))::int AS links
       FROM trace.span s WHERE s.tenant_id = $1 AND s.trace_id = t.id AND s.traced_at = t.created_at) AS s
     WHERE f.id <> f.of AND ($5::text[] IS NULL OR ${visibleCondition('t', '$5')})`,
    [
      traces[0]!.tenantId,
      traces.map(({ id }) => id),
      options.named.map(({ of }) => of),
      options.named.map(({ id }) => id),
      options.viewer as readonly string[] as string[] | null,
      options.onlyNamed ?? false,
    ],
    { prepare: true },
  )) as unknown as CorrelatedRow[];
}
