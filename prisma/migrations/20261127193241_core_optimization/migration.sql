-- CreateTable
CREATE TABLE "core"."metric_sample" (
    "tenant_id" TEXT NOT NULL,
    "series" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "instance" UUID NOT NULL,
    "length_ms" INTEGER NOT NULL,
    "count" INTEGER NOT NULL,
    "sum" DOUBLE PRECISION NOT NULL,
    "squares" DOUBLE PRECISION NOT NULL,

    CONSTRAINT "metric_sample_pkey" PRIMARY KEY ("tenant_id","series","at","instance")
);

-- CreateTable
CREATE TABLE "core"."setting" (
    "tenant_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "value" DOUBLE PRECISION NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,

    CONSTRAINT "setting_pkey" PRIMARY KEY ("tenant_id","name")
);

-- CreateTable
CREATE TABLE "core"."optimization" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "scope" TEXT[],
    "status" TEXT NOT NULL,
    "observed" JSONB NOT NULL,
    "bottlenecks" JSONB NOT NULL,
    "changes" JSONB NOT NULL,
    "guards" JSONB NOT NULL,
    "workflow" JSONB,
    "min_gain" DOUBLE PRECISION NOT NULL,
    "expected_gain" DOUBLE PRECISION NOT NULL,
    "measured_gain" DOUBLE PRECISION,
    "reason" TEXT,
    "look_at" TIMESTAMPTZ(3),
    "judge_at" TIMESTAMPTZ(3),
    "applied_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "optimization_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateIndex
CREATE INDEX "optimization_tenant_id_created_at_id_idx" ON "core"."optimization"("tenant_id", "created_at" DESC, "id");

-- One change of a tenant is judged at a time: what it did could not be told from what another did.
CREATE UNIQUE INDEX "optimization_applied_key" ON "core"."optimization" ("tenant_id") WHERE "status" = 'applied';
-- What is watched, of all tenants.
CREATE INDEX "optimization_look_idx" ON "core"."optimization" ("look_at") WHERE "status" = 'applied';
