-- CreateTable
CREATE TABLE "core"."agent" (
    "tenant_id" TEXT NOT NULL,
    "agent_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "capabilities" TEXT[],
    "endpoint" TEXT,
    "attributes" JSONB NOT NULL,
    "status" TEXT NOT NULL,
    "capacity" INTEGER NOT NULL,
    "active_tasks" INTEGER NOT NULL DEFAULT 0,
    "load" DOUBLE PRECISION,
    "ttl_ms" INTEGER NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "registered_by" TEXT NOT NULL,
    "registered_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "agent_pkey" PRIMARY KEY ("tenant_id","agent_id")
);

-- CreateIndex
CREATE INDEX "agent_tenant_id_registered_at_agent_id_idx" ON "core"."agent"("tenant_id", "registered_at" DESC, "agent_id");

-- CreateIndex
CREATE INDEX "agent_capabilities_idx" ON "core"."agent" USING GIN ("capabilities");

-- CreateIndex
CREATE INDEX "agent_expires_at_idx" ON "core"."agent"("expires_at");
