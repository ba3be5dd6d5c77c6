-- AlterTable
ALTER TABLE "collab"."task" ADD COLUMN     "team_size" INTEGER;
