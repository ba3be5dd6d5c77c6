-- CreateIndex
CREATE INDEX "snapshot_tenant_id_context_id_captured_at_id_idx" ON "trace"."snapshot"("tenant_id", "context_id", "captured_at" DESC, "id" DESC);

-- Decisions and errors that were recorded, over all traces: by time, and by their words.
CREATE INDEX "history_of_searched_idx" ON "trace"."history"("tenant_id", "type", "occurred_at" DESC, "position" DESC)
  WHERE "source" = 'trace' AND "type" IN ('trace.decision', 'trace.error');
CREATE INDEX "history_words_idx" ON "trace"."history" USING gin (jsonb_to_tsvector('simple', "detail", '["string"]'))
  WHERE "source" = 'trace' AND "type" IN ('trace.decision', 'trace.error');
