-- Objects of the tenant are known as such, beside those of a context.
ALTER TABLE "trace"."stream_context" ALTER COLUMN "context_id" DROP NOT NULL;

-- Streams of subjects, inboxes and tenants were tied to the context that was told of first in them: what has no context itself
-- stood in that one's history, for its readers to see.
DELETE FROM "trace"."history" h USING "trace"."trace" t
WHERE t.tenant_id = h.tenant_id AND t.id = h.trace_id AND t.context_id IS NOT NULL AND t.created_by = 'system:trace'
  AND NOT h.detail ? 'contextId' AND NOT h.detail ? 'planId'
  AND (h.source IN ('role', 'platform') OR (h.source = 'confirm' AND h.type LIKE 'approval.%') OR (h.source = 'core' AND h.type ~ '^(allocation|node|quota)[.]'));
