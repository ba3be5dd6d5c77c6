-- AlterTable
ALTER TABLE "collab"."audit" ADD COLUMN     "origin" JSONB;

-- AlterTable
ALTER TABLE "confirm"."audit" ADD COLUMN     "origin" JSONB;

-- AlterTable
ALTER TABLE "context"."audit" ADD COLUMN     "origin" JSONB;

-- AlterTable
ALTER TABLE "core"."audit" ADD COLUMN     "origin" JSONB;

-- AlterTable
ALTER TABLE "dialog"."audit" ADD COLUMN     "origin" JSONB;

-- AlterTable
ALTER TABLE "extension"."audit" ADD COLUMN     "origin" JSONB;

-- AlterTable
ALTER TABLE "network"."audit" ADD COLUMN     "origin" JSONB;

-- AlterTable
ALTER TABLE "plan"."audit" ADD COLUMN     "origin" JSONB;

-- AlterTable
ALTER TABLE "platform"."audit" ADD COLUMN     "origin" JSONB;

-- AlterTable
ALTER TABLE "role"."audit" ADD COLUMN     "origin" JSONB;

-- AlterTable
ALTER TABLE "trace"."audit" ADD COLUMN     "origin" JSONB;
