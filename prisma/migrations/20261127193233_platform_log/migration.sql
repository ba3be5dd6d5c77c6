-- CreateTable
CREATE TABLE "platform"."log" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "ordinal" BIGSERIAL NOT NULL,
    "level" SMALLINT NOT NULL,
    "module" TEXT NOT NULL,
    "operation" TEXT,
    "message" TEXT NOT NULL,
    "correlation_id" TEXT,
    "trace_id" TEXT,
    "span_id" TEXT,
    "user_id" TEXT,
    "metadata" JSONB NOT NULL,
    "stack" TEXT,

    CONSTRAINT "log_pkey" PRIMARY KEY ("tenant_id","id","at")
) PARTITION BY RANGE ("at");

-- Takes what no partition covers.
CREATE TABLE "platform"."log_default" PARTITION OF "platform"."log" DEFAULT;

-- CreateTable
CREATE TABLE "platform"."log_rollup" (
    "tenant_id" TEXT NOT NULL,
    "minute" TIMESTAMPTZ(3) NOT NULL,
    "module" TEXT NOT NULL,
    "level" SMALLINT NOT NULL,
    "count" INTEGER NOT NULL,

    CONSTRAINT "log_rollup_pkey" PRIMARY KEY ("tenant_id","minute","module","level")
);

-- CreateTable
CREATE TABLE "platform"."log_level" (
    "tenant_id" TEXT NOT NULL,
    "module" TEXT NOT NULL,
    "level" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "set_by" TEXT NOT NULL,

    CONSTRAINT "log_level_pkey" PRIMARY KEY ("tenant_id","module")
);

-- CreateIndex
CREATE INDEX "log_tenant_id_at_ordinal_idx" ON "platform"."log"("tenant_id", "at", "ordinal");

-- CreateIndex
CREATE INDEX "log_tenant_id_module_level_at_ordinal_idx" ON "platform"."log"("tenant_id", "module", "level", "at", "ordinal");

-- CreateIndex
CREATE INDEX "log_rollup_minute_idx" ON "platform"."log_rollup"("minute");

-- What is severe, among a hundred times as many that are not.
CREATE INDEX "log_severe_idx" ON "platform"."log"("tenant_id", "at", "ordinal") WHERE "level" >= 40;
