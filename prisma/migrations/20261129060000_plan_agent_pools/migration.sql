-- Who works on a run, and since when one of its steps has been offered to the least loaded of them.
ALTER TABLE "plan"."execution" ADD COLUMN IF NOT EXISTS "pool" JSONB;
ALTER TABLE "plan"."step_execution" ADD COLUMN IF NOT EXISTS "offered_at" TIMESTAMPTZ(3);
