-- Nothing is looked up by these.
DROP INDEX "trace"."trace_tenant_id_start_ns_id_idx";
DROP INDEX "trace"."trace_tenant_id_w3c_id_idx";

-- Most traces come from exporters: they have no context, plan or correlation id, and need no place among those that do.
DROP INDEX "trace"."trace_tenant_id_context_id_created_at_id_idx";
DROP INDEX "trace"."trace_tenant_id_plan_id_created_at_id_idx";
DROP INDEX "trace"."trace_tenant_id_correlation_id_idx";
CREATE INDEX "trace_of_context_idx" ON "trace"."trace"("tenant_id", "context_id", "created_at" DESC, "id") WHERE "context_id" IS NOT NULL;
CREATE INDEX "trace_of_plan_idx" ON "trace"."trace"("tenant_id", "plan_id", "created_at" DESC, "id") WHERE "plan_id" IS NOT NULL;
CREATE INDEX "trace_of_correlation_idx" ON "trace"."trace"("tenant_id", "correlation_id", "created_at" DESC) WHERE "correlation_id" IS NOT NULL;

-- AlterTable
ALTER TABLE "trace"."trace" ADD COLUMN     "archived_at" TIMESTAMPTZ(3),
ADD COLUMN     "sampling_rate" DOUBLE PRECISION NOT NULL DEFAULT 1,
ADD COLUMN     "service_name" TEXT,
ADD COLUMN     "tags" TEXT[] DEFAULT ARRAY[]::TEXT[];

CREATE INDEX "trace_tags_idx" ON "trace"."trace" USING GIN ("tags") WHERE "tags" <> '{}';
