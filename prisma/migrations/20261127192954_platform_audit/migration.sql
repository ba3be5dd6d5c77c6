-- AlterTable
ALTER TABLE "collab"."audit" ADD COLUMN     "position" BIGSERIAL NOT NULL;

-- AlterTable
ALTER TABLE "confirm"."audit" ADD COLUMN     "position" BIGSERIAL NOT NULL;

-- AlterTable
ALTER TABLE "context"."audit" ADD COLUMN     "position" BIGSERIAL NOT NULL;

-- AlterTable
ALTER TABLE "core"."audit" ADD COLUMN     "position" BIGSERIAL NOT NULL;

-- AlterTable
ALTER TABLE "dialog"."audit" ADD COLUMN     "position" BIGSERIAL NOT NULL;

-- AlterTable
ALTER TABLE "extension"."audit" ADD COLUMN     "position" BIGSERIAL NOT NULL;

-- AlterTable
ALTER TABLE "network"."audit" ADD COLUMN     "position" BIGSERIAL NOT NULL;

-- AlterTable
ALTER TABLE "plan"."audit" ADD COLUMN     "position" BIGSERIAL NOT NULL;

-- AlterTable
ALTER TABLE "platform"."audit" ADD COLUMN     "position" BIGSERIAL NOT NULL;

-- AlterTable
ALTER TABLE "role"."audit" ADD COLUMN     "position" BIGSERIAL NOT NULL;

-- AlterTable
ALTER TABLE "trace"."audit" ADD COLUMN     "position" BIGSERIAL NOT NULL;

-- CreateTable
CREATE TABLE "platform"."audit_block" (
    "tenant_id" TEXT NOT NULL,
    "number" BIGINT NOT NULL,
    "previous_hash" BYTEA NOT NULL,
    "hash" BYTEA NOT NULL,
    "rows_hash" BYTEA NOT NULL,
    "row_count" INTEGER NOT NULL,
    "ranges" JSONB NOT NULL,
    "first_at" TIMESTAMPTZ(3) NOT NULL,
    "last_at" TIMESTAMPTZ(3) NOT NULL,
    "sealed_at" TIMESTAMPTZ(3) NOT NULL,
    "pruned_at" TIMESTAMPTZ(3),

    CONSTRAINT "audit_block_pkey" PRIMARY KEY ("tenant_id","number")
);

-- CreateTable
CREATE TABLE "platform"."audit_chain" (
    "tenant_id" TEXT NOT NULL,
    "number" BIGINT NOT NULL,
    "hash" BYTEA NOT NULL,
    "positions" JSONB NOT NULL,

    CONSTRAINT "audit_chain_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateTable
CREATE TABLE "platform"."audit_cursor" (
    "module" TEXT NOT NULL,
    "position" BIGINT NOT NULL,

    CONSTRAINT "audit_cursor_pkey" PRIMARY KEY ("module")
);

-- CreateTable
CREATE TABLE "platform"."file" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "purpose" TEXT NOT NULL,
    "format" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "request" JSONB NOT NULL,
    "context_id" UUID,
    "status" TEXT NOT NULL DEFAULT 'queued',
    "progress" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "row_count" BIGINT NOT NULL DEFAULT 0,
    "byte_count" BIGINT NOT NULL DEFAULT 0,
    "part_count" INTEGER NOT NULL DEFAULT 0,
    "sha256" BYTEA,
    "failure" TEXT,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finished_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "file_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "platform"."file_part" (
    "tenant_id" TEXT NOT NULL,
    "file_id" UUID NOT NULL,
    "part" INTEGER NOT NULL,
    "bytes" BYTEA NOT NULL,

    CONSTRAINT "file_part_pkey" PRIMARY KEY ("tenant_id","file_id","part")
);

-- CreateIndex
CREATE INDEX "audit_block_last_at_idx" ON "platform"."audit_block"("last_at");

-- CreateIndex
CREATE INDEX "audit_block_tenant_id_last_at_idx" ON "platform"."audit_block"("tenant_id", "last_at");

-- CreateIndex
CREATE INDEX "file_tenant_id_purpose_created_at_id_idx" ON "platform"."file"("tenant_id", "purpose", "created_at" DESC, "id");

-- CreateIndex
CREATE INDEX "file_expires_at_idx" ON "platform"."file"("expires_at");

-- CreateIndex
CREATE INDEX "audit_tenant_id_position_idx" ON "collab"."audit"("tenant_id", "position");

-- CreateIndex
CREATE INDEX "audit_position_idx" ON "collab"."audit"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_position_idx" ON "confirm"."audit"("tenant_id", "position");

-- CreateIndex
CREATE INDEX "audit_position_idx" ON "confirm"."audit"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_position_idx" ON "context"."audit"("tenant_id", "position");

-- CreateIndex
CREATE INDEX "audit_position_idx" ON "context"."audit"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_position_idx" ON "core"."audit"("tenant_id", "position");

-- CreateIndex
CREATE INDEX "audit_position_idx" ON "core"."audit"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_position_idx" ON "dialog"."audit"("tenant_id", "position");

-- CreateIndex
CREATE INDEX "audit_position_idx" ON "dialog"."audit"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_position_idx" ON "extension"."audit"("tenant_id", "position");

-- CreateIndex
CREATE INDEX "audit_position_idx" ON "extension"."audit"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_position_idx" ON "network"."audit"("tenant_id", "position");

-- CreateIndex
CREATE INDEX "audit_position_idx" ON "network"."audit"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_position_idx" ON "plan"."audit"("tenant_id", "position");

-- CreateIndex
CREATE INDEX "audit_position_idx" ON "plan"."audit"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_position_idx" ON "platform"."audit"("tenant_id", "position");

-- CreateIndex
CREATE INDEX "audit_position_idx" ON "platform"."audit"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_position_idx" ON "role"."audit"("tenant_id", "position");

-- CreateIndex
CREATE INDEX "audit_position_idx" ON "role"."audit"("position");

-- CreateIndex
CREATE INDEX "audit_tenant_id_position_idx" ON "trace"."audit"("tenant_id", "position");

-- CreateIndex
CREATE INDEX "audit_position_idx" ON "trace"."audit"("position");

-- What was done is never rewritten; only the retention, which says so, drops rows.
CREATE FUNCTION "platform"."audit_append_only"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND current_setting('mplp.audit_retention', true) = 'on' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'audit rows are append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "audit_append_only" BEFORE UPDATE OR DELETE ON "collab"."audit" FOR EACH ROW EXECUTE FUNCTION "platform"."audit_append_only"();
CREATE TRIGGER "audit_append_only" BEFORE UPDATE OR DELETE ON "confirm"."audit" FOR EACH ROW EXECUTE FUNCTION "platform"."audit_append_only"();
CREATE TRIGGER "audit_append_only" BEFORE UPDATE OR DELETE ON "context"."audit" FOR EACH ROW EXECUTE FUNCTION "platform"."audit_append_only"();
CREATE TRIGGER "audit_append_only" BEFORE UPDATE OR DELETE ON "core"."audit" FOR EACH ROW EXECUTE FUNCTION "platform"."audit_append_only"();
CREATE TRIGGER "audit_append_only" BEFORE UPDATE OR DELETE ON "dialog"."audit" FOR EACH ROW EXECUTE FUNCTION "platform"."audit_append_only"();
CREATE TRIGGER "audit_append_only" BEFORE UPDATE OR DELETE ON "extension"."audit" FOR EACH ROW EXECUTE FUNCTION "platform"."audit_append_only"();
CREATE TRIGGER "audit_append_only" BEFORE UPDATE OR DELETE ON "network"."audit" FOR EACH ROW EXECUTE FUNCTION "platform"."audit_append_only"();
CREATE TRIGGER "audit_append_only" BEFORE UPDATE OR DELETE ON "plan"."audit" FOR EACH ROW EXECUTE FUNCTION "platform"."audit_append_only"();
CREATE TRIGGER "audit_append_only" BEFORE UPDATE OR DELETE ON "platform"."audit" FOR EACH ROW EXECUTE FUNCTION "platform"."audit_append_only"();
CREATE TRIGGER "audit_append_only" BEFORE UPDATE OR DELETE ON "role"."audit" FOR EACH ROW EXECUTE FUNCTION "platform"."audit_append_only"();
CREATE TRIGGER "audit_append_only" BEFORE UPDATE OR DELETE ON "trace"."audit" FOR EACH ROW EXECUTE FUNCTION "platform"."audit_append_only"();
