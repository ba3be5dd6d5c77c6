ALTER TABLE "role"."delegation" DROP CONSTRAINT "delegation_status_check";
ALTER TABLE "role"."delegation" ADD CONSTRAINT "delegation_status_check"
  CHECK ("status" IN ('active', 'suspended', 'revoked', 'expired'));
