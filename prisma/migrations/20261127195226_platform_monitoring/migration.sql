-- CreateTable
CREATE TABLE "platform"."metric_series" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "labels" JSONB NOT NULL,
    "instance" TEXT NOT NULL,
    "is_delta" BOOLEAN NOT NULL,
    "bounds" DOUBLE PRECISION[],
    "unit" TEXT,
    "help" TEXT,
    "last_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "metric_series_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "platform"."metric_sample" (
    "tenant_id" TEXT NOT NULL,
    "series_id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "value" DOUBLE PRECISION NOT NULL,
    "count" BIGINT,
    "buckets" BIGINT[],

    CONSTRAINT "metric_sample_pkey" PRIMARY KEY ("tenant_id","series_id","at")
) PARTITION BY RANGE ("at");

-- Takes what no partition covers.
CREATE TABLE "platform"."metric_sample_default" PARTITION OF "platform"."metric_sample" DEFAULT;

-- CreateTable
CREATE TABLE "platform"."metric_rollup" (
    "tenant_id" TEXT NOT NULL,
    "series_id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "value" DOUBLE PRECISION NOT NULL,
    "min" DOUBLE PRECISION NOT NULL,
    "max" DOUBLE PRECISION NOT NULL,
    "sum" DOUBLE PRECISION NOT NULL,
    "samples" INTEGER NOT NULL,
    "count" BIGINT,
    "buckets" BIGINT[],

    CONSTRAINT "metric_rollup_pkey" PRIMARY KEY ("tenant_id","series_id","at")
);

-- CreateTable
CREATE TABLE "platform"."dashboard" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "title" TEXT NOT NULL,
    "description" TEXT,
    "panels" JSONB NOT NULL,
    "revision" INTEGER NOT NULL DEFAULT 1,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "dashboard_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "platform"."alert_rule" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT,
    "conditions" JSONB NOT NULL,
    "for_seconds" INTEGER NOT NULL,
    "severity" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "channels" TEXT[],
    "enabled" BOOLEAN NOT NULL,
    "revision" INTEGER NOT NULL DEFAULT 1,
    "created_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "alert_rule_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "platform"."alert" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "rule_id" UUID NOT NULL,
    "rule_name" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "severity" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "outcome" TEXT,
    "metric" TEXT NOT NULL,
    "value" DOUBLE PRECISION NOT NULL,
    "threshold" DOUBLE PRECISION NOT NULL,
    "instance" TEXT,
    "pending_since" TIMESTAMPTZ(3) NOT NULL,
    "fired_at" TIMESTAMPTZ(3),
    "resolved_at" TIMESTAMPTZ(3),
    "acknowledged_at" TIMESTAMPTZ(3),
    "acknowledged_by" TEXT,

    CONSTRAINT "alert_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "platform"."channel" (
    "tenant_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "target" TEXT,
    "enabled" BOOLEAN NOT NULL,
    "revision" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "channel_pkey" PRIMARY KEY ("tenant_id","name")
);

-- CreateTable
CREATE TABLE "platform"."notification" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "channel" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "body" JSONB NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'WAITING',
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "last_error" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "sent_at" TIMESTAMPTZ(3),

    CONSTRAINT "notification_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "platform"."error" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "code" TEXT NOT NULL,
    "message" TEXT NOT NULL,
    "severity" TEXT NOT NULL,
    "category" TEXT NOT NULL,
    "module" TEXT NOT NULL,
    "operation" TEXT,
    "correlation_id" TEXT,
    "trace_id" TEXT,
    "user_id" TEXT,
    "recoverable" BOOLEAN NOT NULL,
    "status_code" INTEGER NOT NULL,
    "details" JSONB NOT NULL,
    "stack" TEXT,

    CONSTRAINT "error_pkey" PRIMARY KEY ("tenant_id","id","at")
) PARTITION BY RANGE ("at");

-- Takes what no partition covers.
CREATE TABLE "platform"."error_default" PARTITION OF "platform"."error" DEFAULT;

-- CreateTable
CREATE TABLE "platform"."error_group" (
    "tenant_id" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "code" TEXT NOT NULL,
    "message" TEXT NOT NULL,
    "severity" TEXT NOT NULL,
    "category" TEXT NOT NULL,
    "module" TEXT NOT NULL,
    "operation" TEXT,
    "count" BIGINT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'OPEN',
    "first_seen" TIMESTAMPTZ(3) NOT NULL,
    "last_seen" TIMESTAMPTZ(3) NOT NULL,
    "regressions" INTEGER NOT NULL DEFAULT 0,
    "news" UUID NOT NULL,
    "resolution" TEXT,
    "changed_by" TEXT,
    "changed_at" TIMESTAMPTZ(3),
    "snapshot" JSONB,
    "revision" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "error_group_pkey" PRIMARY KEY ("tenant_id","fingerprint")
);

-- CreateTable
CREATE TABLE "platform"."error_rule" (
    "tenant_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "min_severity" TEXT NOT NULL,
    "modules" TEXT[],
    "channels" TEXT[],
    "enabled" BOOLEAN NOT NULL,
    "revision" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "error_rule_pkey" PRIMARY KEY ("tenant_id","name")
);

-- CreateIndex
CREATE INDEX "metric_series_tenant_id_name_idx" ON "platform"."metric_series"("tenant_id", "name");

-- CreateIndex
CREATE INDEX "metric_series_last_at_idx" ON "platform"."metric_series"("last_at");

-- CreateIndex
CREATE INDEX "metric_rollup_at_idx" ON "platform"."metric_rollup"("at");

-- CreateIndex
CREATE UNIQUE INDEX "alert_rule_tenant_id_name_key" ON "platform"."alert_rule"("tenant_id", "name");

-- CreateIndex
CREATE INDEX "alert_tenant_id_pending_since_id_idx" ON "platform"."alert"("tenant_id", "pending_since" DESC, "id");

-- CreateIndex
CREATE INDEX "alert_resolved_at_idx" ON "platform"."alert"("resolved_at");

-- CreateIndex
CREATE INDEX "notification_tenant_id_created_at_id_idx" ON "platform"."notification"("tenant_id", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "notification_created_at_idx" ON "platform"."notification"("created_at");

-- CreateIndex
CREATE INDEX "error_tenant_id_at_ordinal_idx" ON "platform"."error"("tenant_id", "at", "ordinal");

-- CreateIndex
CREATE INDEX "error_tenant_id_fingerprint_at_ordinal_idx" ON "platform"."error"("tenant_id", "fingerprint", "at", "ordinal");

-- CreateIndex
CREATE INDEX "error_group_tenant_id_last_seen_fingerprint_idx" ON "platform"."error_group"("tenant_id", "last_seen" DESC, "fingerprint");

-- At most one of a rule is open.
CREATE UNIQUE INDEX "alert_open_idx" ON "platform"."alert"("tenant_id", "rule_id") WHERE "resolved_at" IS NULL;
