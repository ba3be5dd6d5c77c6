-- Where names are unique per owner the title stands here too; null where they may repeat, and for deleted contexts.
ALTER TABLE "context"."context" ADD COLUMN "unique_name" TEXT;

-- Deferrable: contexts that swap their names in one statement collide at its end only if they still do.
ALTER TABLE "context"."context" ADD CONSTRAINT "context_tenant_id_owner_id_unique_name_key" UNIQUE ("tenant_id", "owner_id", "unique_name") DEFERRABLE INITIALLY IMMEDIATE;

-- The constraint's index begins with the same columns.
DROP INDEX "context"."context_tenant_id_owner_id_idx";
