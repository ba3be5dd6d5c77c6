-- Whom access lists show a context under conditions. Lists that stand already do so with the next change of their context.
ALTER TABLE "context"."context" ADD COLUMN IF NOT EXISTS "conditional_readers" JSONB;
