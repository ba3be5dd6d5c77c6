-- AlterTable
ALTER TABLE "trace"."trace" ADD COLUMN "correlation_id" TEXT,
ADD COLUMN "tracestate" TEXT,
ADD COLUMN "baggage" TEXT;

-- CreateIndex
CREATE INDEX "trace_tenant_id_correlation_id_idx" ON "trace"."trace"("tenant_id", "correlation_id");

-- CreateIndex
CREATE INDEX "trace_tenant_id_start_ns_id_idx" ON "trace"."trace"("tenant_id", "start_ns", "id");
