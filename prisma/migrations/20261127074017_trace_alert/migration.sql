-- CreateTable
CREATE TABLE "trace"."alert_rule" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "figure" TEXT NOT NULL,
    "metric" TEXT,
    "comparison" TEXT NOT NULL,
    "threshold" DOUBLE PRECISION NOT NULL,
    "service" TEXT,
    "operation" TEXT,
    "severity" TEXT NOT NULL,
    "cooldown_seconds" INTEGER NOT NULL,
    "enabled" BOOLEAN NOT NULL,
    "last_raised_at" TIMESTAMPTZ(3),
    "revision" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "alert_rule_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "trace"."alert" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "rule_id" UUID NOT NULL,
    "rule_name" TEXT NOT NULL,
    "trace_id" UUID NOT NULL,
    "context_id" UUID,
    "severity" TEXT NOT NULL,
    "metric" TEXT NOT NULL,
    "unit" TEXT,
    "value" DOUBLE PRECISION NOT NULL,
    "threshold" DOUBLE PRECISION NOT NULL,
    "score" DOUBLE PRECISION,
    "count" INTEGER NOT NULL DEFAULT 1,
    "raised_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "acknowledged_at" TIMESTAMPTZ(3),
    "acknowledged_by" TEXT,
    "resolved_at" TIMESTAMPTZ(3),

    CONSTRAINT "alert_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateIndex
CREATE INDEX "alert_tenant_id_raised_at_id_idx" ON "trace"."alert"("tenant_id", "raised_at" DESC, "id");

-- CreateIndex
CREATE INDEX "alert_tenant_id_trace_id_rule_id_idx" ON "trace"."alert"("tenant_id", "trace_id", "rule_id");

-- CreateIndex
CREATE INDEX "alert_resolved_at_last_seen_at_idx" ON "trace"."alert"("resolved_at", "last_seen_at");
