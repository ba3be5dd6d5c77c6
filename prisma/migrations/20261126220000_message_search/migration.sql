-- Search stays within a tenant, and mostly within a dialog: both lead the inverted index, which intersects their postings
-- with those of the words. A tombstone has no text left to find.
DROP INDEX "dialog"."message_search_idx";
CREATE INDEX "message_search_idx" ON "dialog"."message" USING GIN ("tenant_id" text_ops, "dialog_id" uuid_ops, "search") WHERE "deleted_at" IS NULL;
