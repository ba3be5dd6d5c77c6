-- AlterTable
ALTER TABLE "platform"."metric_series" ADD COLUMN "fell_at" TIMESTAMPTZ(3);

-- Of totals that were sampled before, nobody noted it: all that lies before now is read sample by sample.
UPDATE "platform"."metric_series" SET "fell_at" = now() WHERE NOT "is_delta" AND "kind" <> 'GAUGE';
