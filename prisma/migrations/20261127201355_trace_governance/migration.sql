-- AlterTable
ALTER TABLE "trace"."trace" ADD COLUMN     "governance" JSONB;

-- What documents brought stood with the rest of them.
UPDATE "trace"."trace" SET "governance" = "protocol"->'governance' WHERE "protocol" ? 'governance';

-- Which spans link to a trace: of those with links alone.
CREATE INDEX "span_links_idx" ON "trace"."span" USING gin ((detail->'links') jsonb_path_ops) WHERE detail->'links' <> '[]'::jsonb;
