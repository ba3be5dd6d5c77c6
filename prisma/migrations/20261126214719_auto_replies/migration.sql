-- CreateTable
CREATE TABLE "dialog"."auto_reply" (
    "tenant_id" TEXT NOT NULL,
    "message_id" UUID NOT NULL,
    "dialog_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "auto_reply_pkey" PRIMARY KEY ("tenant_id","message_id")
);

-- CreateIndex
CREATE INDEX "auto_reply_tenant_id_dialog_id_created_at_idx" ON "dialog"."auto_reply"("tenant_id", "dialog_id", "created_at");

-- CreateIndex
CREATE INDEX "auto_reply_created_at_idx" ON "dialog"."auto_reply"("created_at");
