-- CreateTable
CREATE TABLE "trace"."snapshot" (
    "tenant_id" TEXT NOT NULL,
    "trace_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "context_id" UUID NOT NULL,
    "captured_at" TIMESTAMPTZ(3) NOT NULL,
    "captured_by" TEXT NOT NULL,
    "reason" TEXT,
    "checksum" TEXT NOT NULL,
    "state" JSONB NOT NULL,

    CONSTRAINT "snapshot_pkey" PRIMARY KEY ("tenant_id","trace_id","id")
);

-- What was recorded of a trace by itself, by kind.
CREATE INDEX "history_of_records_idx" ON "trace"."history"("tenant_id", "trace_id", "type", "occurred_at") WHERE "source" = 'trace';

-- What may concern security, by time.
CREATE INDEX "history_of_security_idx" ON "trace"."history"("tenant_id", "occurred_at") WHERE "type" IN ('trace.error', 'permission.denied.repeatedly');
