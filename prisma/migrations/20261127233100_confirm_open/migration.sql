-- How many a tenant, or one who asks in it, has open: of the open ones alone.
CREATE INDEX "confirm_open_idx" ON "confirm"."confirm" ("tenant_id", "requested_by") WHERE "status" = 'pending';
