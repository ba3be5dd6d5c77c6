-- AlterTable
ALTER TABLE "context"."participant" DROP COLUMN "average_response_ms",
DROP COLUMN "completed_tasks",
DROP COLUMN "failed_tasks",
DROP COLUMN "total_tasks";

-- AlterTable
ALTER TABLE "context"."session" DROP COLUMN "average_latency_ms",
DROP COLUMN "data_size_bytes",
DROP COLUMN "message_count";
