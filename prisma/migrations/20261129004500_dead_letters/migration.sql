-- Dead letters are counted at each look at the figures of the platform.
CREATE INDEX IF NOT EXISTS "delivery_dead_idx" ON "platform"."delivery"("tenant_id", "subscription_id") WHERE "status" = 'dead';
