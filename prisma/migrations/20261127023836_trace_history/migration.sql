-- AlterTable
ALTER TABLE "trace"."trace" ADD COLUMN     "protocol" JSONB,
ADD COLUMN     "type" TEXT NOT NULL DEFAULT 'execution',
ADD COLUMN     "ordinal" BIGSERIAL NOT NULL;

-- CreateTable
CREATE TABLE "trace"."history" (
    "tenant_id" TEXT NOT NULL,
    "trace_id" UUID NOT NULL,
    "event_id" UUID NOT NULL,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL,
    "position" BIGSERIAL NOT NULL,
    "type" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "occurred_at" TIMESTAMPTZ(3) NOT NULL,
    "detail" JSONB NOT NULL,

    CONSTRAINT "history_pkey" PRIMARY KEY ("tenant_id","trace_id","event_id","recorded_at")
) PARTITION BY RANGE ("recorded_at");

-- Takes what no partition covers.
CREATE TABLE "trace"."history_default" PARTITION OF "trace"."history" DEFAULT;

-- CreateTable
CREATE TABLE "trace"."stream_context" (
    "tenant_id" TEXT NOT NULL,
    "stream_id" UUID NOT NULL,
    "context_id" UUID NOT NULL,

    CONSTRAINT "stream_context_pkey" PRIMARY KEY ("tenant_id","stream_id")
);

-- CreateIndex
CREATE INDEX "history_tenant_id_trace_id_occurred_at_position_idx" ON "trace"."history"("tenant_id", "trace_id", "occurred_at", "position");

-- CreateIndex
CREATE INDEX "trace_tenant_id_plan_id_created_at_id_idx" ON "trace"."trace"("tenant_id", "plan_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "trace_tenant_id_name_created_at_idx" ON "trace"."trace"("tenant_id", "name", "created_at");
