-- CreateTable
CREATE TABLE "network"."bandwidth" (
    "tenant_id" TEXT NOT NULL,
    "network_id" UUID NOT NULL,
    "total_kbps" BIGINT NOT NULL,
    "usable_kbps" BIGINT NOT NULL,
    "class_limits" JSONB NOT NULL,
    "reserved_real_time" BIGINT NOT NULL DEFAULT 0,
    "reserved_interactive" BIGINT NOT NULL DEFAULT 0,
    "reserved_bulk" BIGINT NOT NULL DEFAULT 0,
    "reserved_management" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "bandwidth_pkey" PRIMARY KEY ("tenant_id","network_id"),
    -- Whatever the platform computes: what connections hold together never exceeds the total.
    CONSTRAINT "bandwidth_within_total" CHECK ("reserved_real_time" + "reserved_interactive" + "reserved_bulk" + "reserved_management" BETWEEN 0 AND "total_kbps")
);

-- CreateTable
CREATE TABLE "network"."circuit" (
    "tenant_id" TEXT NOT NULL,
    "network_id" UUID NOT NULL,
    "node_id" UUID NOT NULL,
    "failed_at" TIMESTAMPTZ(3)[],
    "opened_at" TIMESTAMPTZ(3),
    "retry_at" TIMESTAMPTZ(3),
    "trial_until" TIMESTAMPTZ(3),
    "openings" INTEGER NOT NULL DEFAULT 0,
    "reason" TEXT,

    CONSTRAINT "circuit_pkey" PRIMARY KEY ("tenant_id","network_id","node_id")
);
