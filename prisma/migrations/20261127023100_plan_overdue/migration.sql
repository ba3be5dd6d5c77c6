-- AlterTable
ALTER TABLE "plan"."step_execution" ADD COLUMN     "overdue_at" TIMESTAMPTZ(3),
ADD COLUMN     "timeout_ms" BIGINT;

-- What the sweep looks for, and what a subject works on or worked on.
CREATE INDEX "step_execution_overdue_idx" ON "plan"."step_execution"("overdue_at") WHERE "status" IN ('leased', 'blocked') AND "overdue_at" IS NOT NULL;
CREATE INDEX "step_execution_subject_idx" ON "plan"."step_execution"("tenant_id", "lease_subject", "plan_id", "step_id") WHERE "lease_subject" IS NOT NULL;
CREATE INDEX "step_assigned_idx" ON "plan"."step" USING gin ("assigned_agents") WHERE "assigned_agents" <> '{}';

-- Who sees the plans of private contexts: the circle of each, and whether a tenant has any.
CREATE INDEX "replica_participant_idx" ON "plan"."replica"("tenant_id", ("detail"->>'agentId'), ("detail"->>'contextId')) WHERE "type" = 'ContextParticipant';
CREATE INDEX "replica_private_idx" ON "plan"."replica"("tenant_id") WHERE "type" = 'Context' AND "detail"->>'visibility' = 'PRIVATE';
