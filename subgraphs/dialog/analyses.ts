import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { findIdempotentResponse, idempotencyRecord, isIdempotencyRace } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { AnalysableMessage, AnalysisProvider, DialogSummary, MessageAnalysis } from './analysis/index.ts';
import { autoReplyJobs } from './autoReplies.ts';
import { callOf } from './calls.ts';
import { analysisEvent, summaryEvent } from './events.ts';
import { summaryColumns } from './reads/analyses.ts';
import { isoText } from './record.ts';
import type { AiProcessingValue, DialogRow, DialogSummaryRow, MessageAnalysisRow, MessageRow } from './rows.ts';
import { messageColumns } from './store/messages.ts';
import { toAnalysable } from './toAnalysable.ts';
import { inSpans, joinSpans, type MessageView, seesRange } from './visibility.ts';

const batchSize = 50;
const maxSummaryMessages = 10_000;
/** Characters of all messages of a summary; each has its share, of which it may use twice: its beginning and its end. */
const maxSummaryChars = 4_194_304;
const maxSummaryMessageChars = 65_536;
const minSummaryMessageChars = 200;

const pendingText = `
SELECT ${messageColumns} FROM dialog.message m WHERE m.tenant_id = $1 AND m.dialog_id = $2 AND m.ai_processing IS NOT NULL AND m.sequence > $3
ORDER BY m.sequence LIMIT ${batchSize}`;

const editedText = `
SELECT ${messageColumns} FROM dialog.message m WHERE m.tenant_id = $1 AND m.dialog_id = $2 AND m.id = $3 AND m.ai_processing IS NOT NULL`;

/** What was found in words that have changed since is dropped. */
const insertText = `
INSERT INTO dialog.message_analysis (tenant_id, message_id, dialog_id, sequence, provider, version, result, action_items, decisions)
SELECT i.tenant_id, i.message_id, i.dialog_id, i.sequence, i.provider, i.version, i.result, i.action_items, i.decisions
FROM json_to_recordset($1::text::json) AS i(tenant_id text, message_id uuid, dialog_id uuid, sequence bigint, provider text, version text, result jsonb, action_items int, decisions int, revision int)
JOIN dialog.message m ON m.tenant_id = i.tenant_id AND m.id = i.message_id AND m.revision = i.revision AND m.deleted_at IS NULL
ON CONFLICT (tenant_id, message_id) DO NOTHING
RETURNING message_id AS "messageId", ${isoText('analyzed_at')} AS "analyzedAt"`;

export interface AnalysisTask {
  readonly tenantId: string;
  readonly dialogId: string;
  /** Only this one, which was edited. */
  readonly messageId?: string;
}

/** Analyses of messages and summaries: made in the background by a provider, announced in the dialog's stream. */
export function createAnalyses(runtime: ModuleRuntime, provider: AnalysisProvider) {
  const { sql, publisher, logger } = runtime;

  /** A message that the provider cannot read stays without analysis; it does not hold up those behind it. */
  async function analyze(messages: readonly MessageRow[], signal: AbortSignal): Promise<readonly MessageAnalysis[]> {
    if (messages.length === 0) return [];
    try {
      return await provider.analyzeMessages(messages.map(toAnalysable), { signal });
    } catch (error) {
      // Too much to do or asked to stop: the job comes again.
      if (signal.aborted || (error instanceof PlatformError && error.code === 'UNAVAILABLE')) throw error;
      if (messages.length === 1) {
        logger.warn({ error: String(error), messageId: messages[0]!.id }, 'a message could not be analysed');
        return [];
      }
      const found: MessageAnalysis[] = [];
      for (const message of messages) found.push(...(await analyze([message], signal)));
      return found;
    }
  }

  /**
   * A page of what waits, or one message that was edited; true when more may wait. The cursor moves on only together with
   * what was found.
   */
  async function analyzePage(
    { tenantId, dialogId, messageId: edited }: AnalysisTask,
    signal: AbortSignal,
  ): Promise<boolean> {
    const [state] = await sql<{ analyzedUpto: number; contextId: string; assisted: boolean }[]>`
      UPDATE dialog.dialog_state s SET analysis_queued_at = NULL FROM dialog.dialog d
      WHERE s.tenant_id = ${tenantId} AND s.dialog_id = ${dialogId} AND d.tenant_id = s.tenant_id AND d.id = s.dialog_id
      RETURNING s.analyzed_upto AS "analyzedUpto", d.context_id AS "contextId",
        (d.configuration->>'aiAssistanceEnabled')::boolean AS assisted`;
    if (!state) return false;
    const messages = (await (edited === undefined
      ? sql.unsafe(pendingText, [tenantId, dialogId, state.analyzedUpto], { prepare: true })
      : sql.unsafe(editedText, [tenantId, dialogId, edited], { prepare: true }))) as unknown as MessageRow[];
    const last = messages.at(-1);
    if (!last) return false;
    const found = new Map<string, MessageAnalysisRow>();
    const records: Record<string, unknown>[] = [];
    const living = new Map(
      messages.filter((row) => row.deletedAt === null && row.text !== null).map((row) => [row.id, row]),
    );
    const analyses = await analyze([...living.values()], signal);
    for (const analysis of analyses) {
      const { provider: name, version, messageId, ...rest } = analysis;
      const message = living.get(messageId);
      if (!message) continue;
      const result = selected(rest, message.aiProcessing);
      found.set(messageId, {
        messageId,
        dialogId,
        sequence: message.sequence,
        provider: name,
        version,
        result,
        analyzedAt: '',
      });
      const open = analysis.actionItems.filter((item) => item.status === 'OPEN').length;
      records.push({
        tenant_id: tenantId,
        message_id: messageId,
        dialog_id: dialogId,
        sequence: message.sequence,
        provider: name,
        version,
        result,
        action_items: result['actionItems'] ? open : 0,
        decisions: result['decisions'] ? analysis.decisions.length : 0,
        revision: message.revision,
      });
    }
    let events: readonly EventRow[] = [];
    await sql.begin(async (tx) => {
      await tx`SELECT 1 FROM dialog.dialog_state WHERE tenant_id = ${tenantId} AND dialog_id = ${dialogId} FOR UPDATE`;
      const inserted =
        records.length === 0
          ? []
          : ((await tx.unsafe(insertText, [JSON.stringify(records)], { prepare: true })) as unknown as {
              messageId: string;
              analyzedAt: string;
            }[]);
      if (edited === undefined)
        await tx`UPDATE dialog.dialog_state SET analyzed_upto = GREATEST(analyzed_upto, ${last.sequence}) WHERE tenant_id = ${tenantId} AND dialog_id = ${dialogId}`;
      const byId = new Map(messages.map((message) => [message.id, message]));
      const changes: Change[] = [
        {
          tenantId,
          actor: 'system',
          events: inserted.map(({ messageId, analyzedAt }) =>
            analysisEvent({ ...found.get(messageId)!, analyzedAt }, byId.get(messageId)!, state.contextId),
          ),
          jobs: state.assisted ? autoReplyJobs(analyses, living) : [],
        },
      ];
      if (inserted.length > 0) events = await appendChange(tx, 'dialog', changes);
    });
    await publisher.published(events);
    return messages.length === batchSize;
  }

  /** Long texts come as their two ends, so that the largest dialog fits into memory. */
  async function readForSummary(summary: DialogSummaryRow): Promise<readonly AnalysableMessage[]> {
    const rows = (await sql.unsafe(
      `SELECT id AS "messageId", sequence, coalesce(sender_id::text, sender_subject, role) AS "senderId", sender_type AS "senderType", type,
         CASE WHEN length(text) > 2 * share THEN left(text, share) || right(text, share) ELSE coalesce(text, '') END AS text,
         ${isoText('created_at')} AS "sentAt", reply_to AS "replyToMessageId"
       FROM (SELECT m.*, LEAST(${maxSummaryMessageChars}, GREATEST(${minSummaryMessageChars}, ${maxSummaryChars} / count(*) OVER ()))::int AS share
         FROM (SELECT * FROM dialog.message m WHERE m.tenant_id = $1 AND m.dialog_id = $2 AND m.sequence BETWEEN $3 AND $4 AND m.deleted_at IS NULL
           AND m.recipients IS NULL AND ($5::uuid IS NULL OR m.thread_id = $5::uuid) ORDER BY m.sequence DESC LIMIT ${maxSummaryMessages}) m) shared
       ORDER BY sequence`,
      [summary.tenantId, summary.dialogId, summary.fromSequence, summary.toSequence, summary.threadId],
      { prepare: true },
    )) as unknown as AnalysableMessage[];
    return rows;
  }

  async function finish(
    tx: SqlTransaction,
    summary: DialogSummaryRow,
    outcome: { readonly result: DialogSummary } | { readonly error: string },
  ): Promise<DialogSummaryRow> {
    const failed = 'error' in outcome;
    const {
      provider: name,
      version,
      ...result
    } = failed ? { provider: provider.name, version: provider.version } : outcome.result;
    const [row] = (await tx.unsafe(
      `UPDATE dialog.summary y SET status = $3, provider = $4, version = $5, result = $6::text::jsonb, error = $7, completed_at = now() WHERE y.tenant_id = $1 AND y.id = $2 RETURNING ${summaryColumns}`,
      [
        summary.tenantId,
        summary.id,
        failed ? 'FAILED' : 'COMPLETED',
        name,
        version,
        failed ? null : JSON.stringify(result),
        failed ? outcome.error : null,
      ],
      { prepare: true },
    )) as unknown as DialogSummaryRow[];
    return row!;
  }

  return {
    provider,

    /** Job: analyses what waits in a dialog, or a message that was edited. */
    async analyzeWaiting(task: AnalysisTask, signal: AbortSignal): Promise<void> {
      while (!signal.aborted && (await analyzePage(task, signal)));
    },

    /** Asks for a summary of what the caller may read and answers at once. @throws {VALIDATION_FAILED} {HISTORY_FORBIDDEN} */
    async request(
      scope: RequestScope,
      dialog: DialogRow,
      input: {
        readonly view: MessageView;
        readonly threadId: string | null;
        readonly fromSequence?: number | null | undefined;
        readonly toSequence?: number | null | undefined;
        readonly idempotencyKey?: string | null | undefined;
        /** What others see of who asks. */
        readonly shownActor: string;
      },
    ): Promise<DialogSummaryRow> {
      const { principal, traceparent } = scope;
      const { fromSequence, toSequence } = rangeOf(input, dialog.lastSequence);
      if (fromSequence < 1 || toSequence < fromSequence - 1 || toSequence > dialog.lastSequence) {
        throw new PlatformError(
          'VALIDATION_FAILED',
          `toSequence: expected ${fromSequence} to ${dialog.lastSequence}, got ${toSequence}`,
          { path: ['toSequence'] },
        );
      }
      if (!seesRange(input.view, fromSequence, toSequence)) {
        throw new PlatformError(
          'HISTORY_FORBIDDEN',
          `the caller does not read all of ${fromSequence} to ${toSequence}`,
          {
            path: ['fromSequence'],
            details: { firstVisible: input.view.spans[0]?.[0] ?? null },
          },
        );
      }
      const call = callOf(principal, input.idempotencyKey, 'generateSummary', {
        dialogId: dialog.id,
        threadId: input.threadId,
        fromSequence,
        toSequence,
      });
      const write = async (): Promise<DialogSummaryRow> => {
        const stored = await findIdempotentResponse(sql, 'dialog', call);
        if (stored) {
          const { summaryId } = stored.response as { summaryId: string };
          const [row] = (await sql.unsafe(
            `SELECT ${summaryColumns} FROM dialog.summary y WHERE y.tenant_id = $1 AND y.id = $2`,
            [principal.tenantId, summaryId],
            { prepare: true },
          )) as unknown as DialogSummaryRow[];
          return row!;
        }
        const id = newId();
        return sql.begin(async (tx) => {
          const [row] = (await tx.unsafe(
            `INSERT INTO dialog.summary AS y (tenant_id, id, dialog_id, thread_id, status, from_sequence, to_sequence, requested_by) VALUES ($1, $2, $3, $4, 'PENDING', $5, $6, $7) RETURNING ${summaryColumns}`,
            [principal.tenantId, id, dialog.id, input.threadId, fromSequence, toSequence, input.shownActor],
            { prepare: true },
          )) as unknown as DialogSummaryRow[];
          await appendChange(tx, 'dialog', [
            {
              tenantId: principal.tenantId,
              actor: principal.subject,
              traceparent,
              events: [],
              audit: [
                {
                  action: 'dialog.generateSummary',
                  resource: 'Dialog',
                  resourceId: dialog.id,
                  detail: { summaryId: id },
                },
              ],
              idempotency: idempotencyRecord(call, { summaryId: id }),
              jobs: [
                { task: 'dialog.summarize', payload: { tenantId: principal.tenantId, summaryId: id }, maxAttempts: 3 },
              ],
            },
          ]);
          return row!;
        }) as Promise<DialogSummaryRow>;
      };
      return write().catch((error: unknown) => {
        if (isIdempotencyRace(error)) return write();
        throw error;
      });
    },

    /** Job: makes a summary that was asked for. The last failed attempt marks it FAILED. */
    async summarize(
      tenantId: string,
      summaryId: string,
      options: { readonly signal: AbortSignal; readonly lastAttempt: boolean },
    ): Promise<void> {
      const [summary] = (await sql.unsafe(
        `SELECT ${summaryColumns} FROM dialog.summary y WHERE y.tenant_id = $1 AND y.id = $2 AND y.status = 'PENDING'`,
        [tenantId, summaryId],
        { prepare: true },
      )) as unknown as DialogSummaryRow[];
      if (!summary) return;
      let outcome: { readonly result: DialogSummary } | { readonly error: string };
      try {
        const messages = await readForSummary(summary);
        outcome = { result: await provider.summarize(messages, { signal: options.signal }) };
      } catch (error) {
        if (!options.lastAttempt) throw error;
        outcome = { error: error instanceof Error ? error.message : String(error) };
      }
      let events: readonly EventRow[] = [];
      await sql.begin(async (tx) => {
        await tx`SELECT 1 FROM dialog.dialog_state WHERE tenant_id = ${tenantId} AND dialog_id = ${summary.dialogId} FOR UPDATE`;
        const row = await finish(tx, summary, outcome);
        events = await appendChange(tx, 'dialog', [
          { tenantId, actor: summary.requestedBy, events: [summaryEvent(row)] },
        ]);
      });
      await publisher.published(events);
    },
  };
}

export type Analyses = ReturnType<typeof createAnalyses>;

/** As far as the caller reads without a gap: around the end that is named, else its last stay. */
function rangeOf(
  {
    view,
    fromSequence,
    toSequence,
  }: { readonly view: MessageView } & Partial<Record<'fromSequence' | 'toSequence', number | null | undefined>>,
  lastSequence: number,
) {
  const spans = joinSpans(view.spans);
  const named = fromSequence ?? toSequence;
  const span = (named == null ? undefined : spans.find((one) => inSpans([one], named))) ?? spans.at(-1);
  return { fromSequence: fromSequence ?? span?.[0] ?? 1, toSequence: toSequence ?? span?.[1] ?? lastSequence };
}

/** Only what the sender asked for is kept. */
function selected(
  result: Readonly<Record<string, unknown>>,
  wanted: AiProcessingValue | null,
): Record<string, unknown> {
  const { language, sentiment, toxicity, keywords, entities, dates, actionItems, decisions, questions, truncated } =
    result;
  return {
    language,
    truncated,
    ...(wanted?.sentiment ? { sentiment, toxicity } : {}),
    ...(wanted?.topics ? { keywords } : {}),
    ...(wanted?.entities ? { entities, dates } : {}),
    ...(wanted?.actionItems ? { actionItems, decisions, questions } : {}),
  };
}
