-- CreateTable
CREATE TABLE "platform"."api_token" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "subject" TEXT NOT NULL,
    "subject_type" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "scopes" TEXT[],
    "secret_hash" BYTEA NOT NULL,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "last_used_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),
    "revoked_by" TEXT,

    CONSTRAINT "api_token_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "platform"."revocation" (
    "tenant_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "not_after" TIMESTAMPTZ(3) NOT NULL,
    "reason" TEXT,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "revocation_pkey" PRIMARY KEY ("tenant_id","kind","key")
);

-- CreateTable
CREATE TABLE "platform"."data_key" (
    "tenant_id" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "wrapped" BYTEA NOT NULL,
    "master_key_id" TEXT NOT NULL,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "retired_at" TIMESTAMPTZ(3),

    CONSTRAINT "data_key_pkey" PRIMARY KEY ("tenant_id","version")
);

-- CreateIndex
CREATE UNIQUE INDEX "api_token_id_key" ON "platform"."api_token"("id");

-- CreateIndex
CREATE INDEX "api_token_tenant_id_subject_created_at_id_idx" ON "platform"."api_token"("tenant_id", "subject", "created_at", "id");

-- CreateIndex
CREATE INDEX "api_token_expires_at_idx" ON "platform"."api_token"("expires_at");

-- CreateIndex
CREATE INDEX "revocation_expires_at_idx" ON "platform"."revocation"("expires_at");
