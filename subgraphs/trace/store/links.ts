/**
 * A statement for ids of traces of the tenant `$1` whose spans link to the trace of that W3C id, as a subquery. Its
 * condition is that of the index of links, which holds only the spans that have any.
 */
export function linkingTo(w3cId: string, limit: number): string {
  return `SELECT DISTINCT linking.trace_id FROM trace.span linking WHERE linking.tenant_id = $1 AND linking.detail->'links' <> '[]'::jsonb
    AND linking.detail->'links' @> jsonb_build_array(jsonb_build_object('traceId', ${w3cId})) LIMIT ${limit}`;
}
