-- Dropping rows by age becomes a block of the chain; a block whose rows are gone names the one that says so. Blocks that were
-- marked before have none, and are told as such: nobody can tell any more whether retention dropped their rows.
ALTER TABLE "platform"."audit_block" ADD COLUMN IF NOT EXISTS "pruning" JSONB;
ALTER TABLE "platform"."audit_block" ADD COLUMN IF NOT EXISTS "pruned_by" BIGINT;

-- Totals that a process counts from nothing: their first sample is what they grew by until then.
ALTER TABLE "platform"."metric_series" ADD COLUMN IF NOT EXISTS "began_at" TIMESTAMPTZ(3);
