-- Events are read in the order of their position alone: a transaction has its id before it waits for a stream's lock, so
-- ids did not order a stream.
-- DropIndex
DROP INDEX "context"."event_txid_position_idx";

-- DropIndex
DROP INDEX "dialog"."event_txid_position_idx";

-- DropIndex
DROP INDEX "platform"."event_txid_position_idx";

-- AlterTable
ALTER TABLE "context"."consumer_offset" DROP COLUMN "txid";

-- AlterTable
ALTER TABLE "context"."event" DROP COLUMN "txid";

-- AlterTable
ALTER TABLE "dialog"."consumer_offset" DROP COLUMN "txid";

-- AlterTable
ALTER TABLE "dialog"."event" DROP COLUMN "txid";

-- AlterTable
ALTER TABLE "platform"."consumer_offset" DROP COLUMN "txid";

-- AlterTable
ALTER TABLE "platform"."event" DROP COLUMN "txid";

-- CreateIndex
CREATE INDEX "event_position_idx" ON "context"."event"("position");

-- CreateIndex
CREATE INDEX "event_position_idx" ON "dialog"."event"("position");

-- CreateIndex
CREATE INDEX "event_position_idx" ON "platform"."event"("position");

-- Offsets of the old order may lie past positions that were not read yet. Consumers recognise what they have.
UPDATE "context"."consumer_offset" SET "position" = 0;
UPDATE "dialog"."consumer_offset" SET "position" = 0;
UPDATE "platform"."consumer_offset" SET "position" = 0;
