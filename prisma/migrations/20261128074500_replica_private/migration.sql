-- Who sees what lies in private contexts: the circle of each, and whether a tenant has any. Plan and network have them;
-- without them each list reads all contexts of its tenant.
CREATE INDEX "replica_participant_idx" ON "trace"."replica"("tenant_id", ("detail"->>'agentId'), ("detail"->>'contextId')) WHERE "type" = 'ContextParticipant';
CREATE INDEX "replica_private_idx" ON "trace"."replica"("tenant_id") WHERE "type" = 'Context' AND "detail"->>'visibility' = 'PRIVATE';
CREATE INDEX "replica_participant_idx" ON "collab"."replica"("tenant_id", ("detail"->>'agentId'), ("detail"->>'contextId')) WHERE "type" = 'ContextParticipant';
CREATE INDEX "replica_private_idx" ON "collab"."replica"("tenant_id") WHERE "type" = 'Context' AND "detail"->>'visibility' = 'PRIVATE';
CREATE INDEX "replica_participant_idx" ON "core"."replica"("tenant_id", ("detail"->>'agentId'), ("detail"->>'contextId')) WHERE "type" = 'ContextParticipant';
CREATE INDEX "replica_private_idx" ON "core"."replica"("tenant_id") WHERE "type" = 'Context' AND "detail"->>'visibility' = 'PRIVATE';
CREATE INDEX "replica_participant_idx" ON "extension"."replica"("tenant_id", ("detail"->>'agentId'), ("detail"->>'contextId')) WHERE "type" = 'ContextParticipant';
CREATE INDEX "replica_private_idx" ON "extension"."replica"("tenant_id") WHERE "type" = 'Context' AND "detail"->>'visibility' = 'PRIVATE';
