-- Parts that were passed on are looked at whenever rights of their tenant change.
CREATE INDEX IF NOT EXISTS "approver_delegated_idx" ON "confirm"."approver"("tenant_id", "confirm_id") WHERE "delegated_from" IS NOT NULL AND "state" IN ('waiting', 'queued');
