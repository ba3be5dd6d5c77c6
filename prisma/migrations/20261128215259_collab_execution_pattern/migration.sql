-- AlterTable
ALTER TABLE "collab"."collaboration" ADD COLUMN     "execution_pattern" TEXT;
