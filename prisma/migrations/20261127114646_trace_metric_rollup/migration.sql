-- CreateTable
CREATE TABLE "trace"."metric_rollup" (
    "tenant_id" TEXT NOT NULL,
    "trace_id" UUID NOT NULL,
    "step" INTEGER NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "name" TEXT NOT NULL,
    "unit" TEXT,
    "count" BIGINT NOT NULL,
    "sum" DOUBLE PRECISION NOT NULL,
    "min" DOUBLE PRECISION NOT NULL,
    "max" DOUBLE PRECISION NOT NULL,
    "sum_squares" DOUBLE PRECISION NOT NULL,
    "sum_time" DOUBLE PRECISION NOT NULL,
    "sum_times" DOUBLE PRECISION NOT NULL,
    "sum_product" DOUBLE PRECISION NOT NULL,
    "histogram" JSONB NOT NULL,

    CONSTRAINT "metric_rollup_pkey" PRIMARY KEY ("tenant_id","trace_id","step","at","name")
);

-- CreateIndex
CREATE INDEX "metric_rollup_step_at_idx" ON "trace"."metric_rollup"("step", "at");
