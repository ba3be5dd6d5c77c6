-- CreateTable
CREATE TABLE "core"."call_rate" (
    "tenant_id" TEXT NOT NULL,
    "client" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "window_at" TIMESTAMPTZ(3) NOT NULL,
    "taken" INTEGER NOT NULL,
    "granted" INTEGER NOT NULL,

    CONSTRAINT "call_rate_pkey" PRIMARY KEY ("tenant_id","client","kind")
);

-- CreateIndex
CREATE INDEX "call_rate_window_at_idx" ON "core"."call_rate"("window_at");
