/**
 * A statement for ids of traces of the tenant `$1` whose spans link to the trace of that W3C id, as a subquery. Its
 * condition is that of the index of links, which holds only the spans that have any.
 */
export function linkingTo(w3cId: string, limit: number): string {
  // Behind OFFSET 0 all rows are planned for, by the index of links: a limit over a distinct would have the planner walk the
  // tenant's whole table in the order of traces, in the hope of meeting enough of them soon (2 s over a million spans).
  return `SELECT DISTINCT linking.trace_id FROM (SELECT s.trace_id FROM trace.span s WHERE s.tenant_id = $1 AND s.detail->'links' <> '[]'::jsonb
    AND s.detail->'links' @> jsonb_build_array(jsonb_build_object('traceId', ${w3cId})) OFFSET 0) AS linking LIMIT ${limit}`;
}
