-- AlterTable
ALTER TABLE "network"."connection" ADD COLUMN     "further_backups" JSONB NOT NULL DEFAULT '[]';

-- AlterTable
ALTER TABLE "network"."link" ADD COLUMN     "energy_per_gb" DOUBLE PRECISION NOT NULL DEFAULT 0;

-- AlterTable
ALTER TABLE "network"."node" ADD COLUMN     "probe" JSONB;

-- AlterTable
ALTER TABLE "network"."service" ALTER COLUMN "expires_at" DROP NOT NULL;
