-- Who only asked to join was taken off the count of participants when a context was closed or deleted: counts are taken anew.
-- The check stands first, so that no process of the former version makes a count wrong between the two.
ALTER TABLE "context"."context" DROP CONSTRAINT IF EXISTS "context_participant_count_check";
ALTER TABLE "context"."context" ADD CONSTRAINT "context_participant_count_check" CHECK ("participant_count" >= 0) NOT VALID;
UPDATE "context"."context" c SET "participant_count" = n."count"
FROM (
  SELECT c."tenant_id", c."id", count(p."id")::int AS "count"
  FROM "context"."context" c
  LEFT JOIN "context"."participant" p ON p."tenant_id" = c."tenant_id" AND p."context_id" = c."id" AND p."status" NOT IN ('LEFT', 'JOINING')
  GROUP BY c."tenant_id", c."id"
) n
WHERE c."tenant_id" = n."tenant_id" AND c."id" = n."id" AND c."participant_count" <> n."count";
ALTER TABLE "context"."context" VALIDATE CONSTRAINT "context_participant_count_check";
