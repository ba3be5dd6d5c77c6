-- Search stays within a tenant and within the dialogs the caller reads: both lead the inverted index, which intersects
-- their postings with those of the words. The dialog stands as an array of one, so that `&&` finds those of many dialogs in
-- one scan, where `= ANY` would need one for each. A tombstone has no text left to find.
DROP INDEX "dialog"."message_search_idx";
CREATE INDEX "message_search_idx" ON "dialog"."message" USING GIN ("tenant_id" text_ops, (ARRAY["dialog_id"]), "search") WHERE "deleted_at" IS NULL;
