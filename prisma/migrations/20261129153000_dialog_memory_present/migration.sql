-- Who was there when an entry was written sees it. Of those that stand already, who took part at that time in its last stay.
ALTER TABLE "dialog"."memory" ADD COLUMN IF NOT EXISTS "present" UUID[];
UPDATE "dialog"."memory" e SET "present" = ARRAY(
  SELECT p."id" FROM "dialog"."participant" p WHERE p."tenant_id" = e."tenant_id" AND p."dialog_id" = e."dialog_id"
    AND p."joined_at" <= e."updated_at" AND (p."status" = 'ACTIVE' OR p."left_at" > e."updated_at"))
WHERE e."present" IS NULL;

-- A summary is read from its own row, whose range says who may.
ALTER TABLE "dialog"."dialog" DROP COLUMN IF EXISTS "conversation_summary", DROP COLUMN IF EXISTS "key_topics";
