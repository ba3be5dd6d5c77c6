-- Who sees the confirms of private contexts: the circle of each, and whether a tenant has any.
CREATE INDEX "replica_participant_idx" ON "confirm"."replica"("tenant_id", ("detail"->>'agentId'), ("detail"->>'contextId')) WHERE "type" = 'ContextParticipant';
CREATE INDEX "replica_private_idx" ON "confirm"."replica"("tenant_id") WHERE "type" = 'Context' AND "detail"->>'visibility' = 'PRIVATE';

-- Whether a context is private was kept so far, not who is in it: that is taken over from the context module where it lies
-- in the same database. Elsewhere private contexts show their confirms to who has a part in them, until they are told of again.
UPDATE "confirm"."replica" SET "detail" = jsonb_build_object('ownerId', NULL, 'visibility', CASE WHEN "detail"->>'isPrivate' = 'false' THEN 'TENANT' ELSE 'PRIVATE' END)
WHERE "type" = 'Context';
UPDATE "confirm"."replica" r SET "detail" = jsonb_build_object('ownerId', c."owner_id", 'visibility', c."access_control"->>'visibility'), "status" = CASE WHEN r."status" = 'deleted' THEN r."status" ELSE c."status" END
FROM "context"."context" c WHERE r."type" = 'Context' AND c."tenant_id" = r."tenant_id" AND c."id" = r."id";
INSERT INTO "confirm"."replica" ("tenant_id", "type", "id", "status", "detail", "sequence")
SELECT p."tenant_id", 'ContextParticipant', p."id", p."status", jsonb_build_object('contextId', p."context_id", 'agentId', p."agent_id"), 0
FROM "context"."participant" p ON CONFLICT DO NOTHING;
