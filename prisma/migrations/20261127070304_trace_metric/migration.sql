-- CreateTable
CREATE TABLE "trace"."metric" (
    "tenant_id" TEXT NOT NULL,
    "trace_id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,
    "name" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "value" DOUBLE PRECISION NOT NULL,
    "unit" TEXT,
    "dimensions" JSONB NOT NULL,

    CONSTRAINT "metric_pkey" PRIMARY KEY ("tenant_id","trace_id","at","ordinal")
) PARTITION BY RANGE ("at");

-- Takes what no partition covers.
CREATE TABLE "trace"."metric_default" PARTITION OF "trace"."metric" DEFAULT;

-- CreateIndex
CREATE INDEX "metric_tenant_id_name_at_idx" ON "trace"."metric"("tenant_id", "name", "at");
