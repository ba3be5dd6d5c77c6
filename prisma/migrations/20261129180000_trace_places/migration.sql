-- Objects of the tenant are known as such, beside those of a context.
ALTER TABLE "trace"."stream_context" ALTER COLUMN "context_id" DROP NOT NULL;

-- Streams of subjects, inboxes and tenants were tied to the context that was told of first in them: what has no context itself
-- stood in that one's history, for its readers to see.
DELETE FROM "trace"."history" h USING "trace"."trace" t
WHERE t.tenant_id = h.tenant_id AND t.id = h.trace_id AND t.context_id IS NOT NULL AND t.created_by = 'system:trace'
  AND NOT h.detail ? 'contextId' AND NOT h.detail ? 'planId'
  AND (h.source IN ('role', 'platform') OR (h.source = 'confirm' AND h.type LIKE 'approval.%') OR (h.source = 'core' AND h.type ~ '^(allocation|node|quota)[.]'));

-- The tail rule: what sampling may let go stands undecided first.
ALTER TABLE "trace"."trace" ADD COLUMN IF NOT EXISTS "undecided" BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE "trace"."trace" ADD COLUMN IF NOT EXISTS "lost_spans" INTEGER NOT NULL DEFAULT 0;
CREATE INDEX IF NOT EXISTS "trace_undecided_idx" ON "trace"."trace"("created_at") WHERE "undecided";

CREATE TABLE IF NOT EXISTS "trace"."sampled_out" (
    "tenant_id" TEXT NOT NULL,
    "trace_id" UUID NOT NULL,
    "decided_at" TIMESTAMPTZ(3) NOT NULL,
    "hour" TIMESTAMPTZ(3) NOT NULL,
    "context_id" UUID NOT NULL,
    "span_count" INTEGER NOT NULL,

    CONSTRAINT "sampled_out_pkey" PRIMARY KEY ("tenant_id","trace_id")
);
CREATE INDEX IF NOT EXISTS "sampled_out_decided_at_idx" ON "trace"."sampled_out"("decided_at");

CREATE TABLE IF NOT EXISTS "trace"."sampling_count" (
    "tenant_id" TEXT NOT NULL,
    "hour" TIMESTAMPTZ(3) NOT NULL,
    "context_id" UUID NOT NULL,
    "traces" BIGINT NOT NULL DEFAULT 0,
    "spans" BIGINT NOT NULL DEFAULT 0,
    "late_spans" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "sampling_count_pkey" PRIMARY KEY ("tenant_id","hour","context_id")
);
