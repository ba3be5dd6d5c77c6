-- What a decision waits for: Confirms by what they are about.
CREATE INDEX "replica_confirm_idx" ON "core"."replica"("tenant_id", ("detail"->>'targetId')) WHERE "type" = 'Confirm';
