-- AlterTable
ALTER TABLE "collab"."ballot" DROP CONSTRAINT "ballot_pkey",
ADD COLUMN     "round" INTEGER NOT NULL DEFAULT 1,
ADD CONSTRAINT "ballot_pkey" PRIMARY KEY ("tenant_id", "decision_id", "round", "voter");

-- AlterTable
ALTER TABLE "collab"."decision" ADD COLUMN     "advice" JSONB,
ADD COLUMN     "council_id" UUID,
ADD COLUMN     "round" INTEGER NOT NULL DEFAULT 1;

-- CreateTable
CREATE TABLE "collab"."council" (
    "tenant_id" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "collab_id" UUID NOT NULL,
    "decision_id" UUID NOT NULL,
    "conflict_id" UUID,
    "rules" JSONB NOT NULL,
    "members" JSONB NOT NULL,
    "status" TEXT NOT NULL,
    "outcome" TEXT,
    "winner" TEXT,
    "note" TEXT,
    "rounds" JSONB NOT NULL,
    "ends_at" TIMESTAMPTZ(3) NOT NULL,
    "closed_at" TIMESTAMPTZ(3),
    "version" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "council_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateIndex
CREATE INDEX "council_tenant_id_collab_id_created_at_id_idx" ON "collab"."council"("tenant_id", "collab_id", "created_at" DESC, "id");

-- A decision is before one sitting at a time; those that are open are found without the others.
CREATE UNIQUE INDEX "council_sitting_idx" ON "collab"."council"("tenant_id", "decision_id") WHERE status <> 'closed';
CREATE INDEX "council_open_idx" ON "collab"."council"("tenant_id", "collab_id") WHERE status <> 'closed';
ALTER TABLE "collab"."council" ADD CONSTRAINT "council_closed_check" CHECK ((status = 'closed') = (closed_at IS NOT NULL));
