-- CreateTable
CREATE TABLE "platform"."cache_entry" (
    "tenant_id" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "value" JSONB NOT NULL,
    "tags" TEXT[],
    "version" INTEGER NOT NULL,
    "bytes" INTEGER NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "cache_entry_pkey" PRIMARY KEY ("tenant_id","key")
);

-- CreateTable
CREATE TABLE "platform"."cache_usage" (
    "tenant_id" TEXT NOT NULL,
    "entries" INTEGER NOT NULL DEFAULT 0,
    "bytes" BIGINT NOT NULL DEFAULT 0,
    "version" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "cache_usage_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateTable
CREATE TABLE "platform"."cache_report" (
    "tenant_id" TEXT NOT NULL,
    "instance" UUID NOT NULL,
    "cache" TEXT NOT NULL,
    "area" TEXT NOT NULL,
    "l1_hits" BIGINT NOT NULL,
    "l1_misses" BIGINT NOT NULL,
    "l2_hits" BIGINT NOT NULL,
    "l2_misses" BIGINT NOT NULL,
    "loads" BIGINT NOT NULL,
    "joined" BIGINT NOT NULL,
    "found" BIGINT NOT NULL,
    "evictions" BIGINT NOT NULL,
    "entries" INTEGER NOT NULL,
    "bytes" BIGINT NOT NULL,
    "reported_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "cache_report_pkey" PRIMARY KEY ("tenant_id","instance","cache","area")
);

-- CreateIndex
CREATE INDEX "cache_entry_expires_at_idx" ON "platform"."cache_entry"("expires_at");

-- CreateIndex
CREATE INDEX "cache_report_reported_at_idx" ON "platform"."cache_report"("reported_at");
