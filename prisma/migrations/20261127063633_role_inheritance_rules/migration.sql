-- AlterTable
ALTER TABLE "role"."role" ADD COLUMN     "inheritance_rules" JSONB;
