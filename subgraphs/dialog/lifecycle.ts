import { createPrincipal } from '#shared/principal.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import type { Aggregate, CommandRunner, Outcome } from './commands.ts';
import type { ContextChange } from './contexts.ts';
import { type Move, moveDialog, nextCheck } from './moves.ts';
import { type DueDelivery, findFirstSent } from './reads/firstSent.ts';
import { type RedeliveryData, redeliveryType } from './redelivery.ts';
import { isOpen } from './states.ts';

const sweepPage = 500;
const deliveryPage = 500;
/** Retries of a followed delivery after the first attempt; 1 s, then doubling. */
export const maxDeliveryRetries = 3;
const deliverySweepMs = 500;

/** What happens to dialogs without anyone asking: idleness, session length, retention, retries, their context's fate. */
export function createLifecycle(runtime: ModuleRuntime, { commands }: { readonly commands: CommandRunner }) {
  const { sql, publisher, logger } = runtime;

  function runMove(
    tenantId: string,
    dialogId: string,
    decide: (current: Aggregate) => Omit<Outcome, 'action'> | null,
    action: string,
  ) {
    return commands.run({
      scope: null,
      principal: createPrincipal({ tenantId, subject: 'system', subjectType: 'service', scopes: ['dialog:admin'] }),
      dialogId,
      idempotent: null,
      decide(current) {
        const outcome = current && decide(current);
        return outcome
          ? {
              ...outcome,
              record: {
                ...outcome.record,
                revision: outcome.record.revision + 1,
                updatedBy: 'system',
                updatedAt: new Date().toISOString(),
              },
              action,
            }
          : null;
      },
    });
  }

  function followContextOf(tenantId: string, dialogId: string, move: ContextMove) {
    return runMove(
      tenantId,
      dialogId,
      (current) => {
        if (
          !move.from.includes(current.record.status) ||
          (move.to === 'active' && current.record.pausedBy !== 'CONTEXT')
        )
          return null;
        return moveDialog(current, {
          to: move.to,
          reason: move.reason,
          pausedBy: move.to === 'paused' ? 'CONTEXT' : null,
        });
      },
      'dialog.followContext',
    );
  }

  /** Decided anew under the lock: a message may have come meanwhile. */
  function checkTime(current: Aggregate, now: Date): Omit<Outcome, 'action'> | null {
    const { record, state } = current;
    if (!isOpen(record.status) || record.nextCheckAt === null) return null;
    const { idleTimeoutMs, maxDurationMs } = record.configuration;
    if (now.getTime() - Date.parse(record.startedAt ?? record.createdAt) >= maxDurationMs) {
      return moveDialog(current, {
        to: 'completed',
        reason: `session timeout after ${maxDurationMs} ms`,
        pausedBy: null,
      });
    }
    if (record.status === 'active' && now.getTime() - Date.parse(state.lastActivityAt) >= idleTimeoutMs) {
      const moved = moveDialog(current, { to: 'paused', reason: `idle for ${idleTimeoutMs} ms`, pausedBy: 'IDLE' });
      return { ...moved, record: { ...moved.record, nextCheckAt: sessionEnd(current) } };
    }
    return null;
  }

  function sessionEnd({ record }: Aggregate): string {
    return new Date(
      Date.parse(record.startedAt ?? record.createdAt) + record.configuration.maxDurationMs,
    ).toISOString();
  }

  /** Sends messages anew to those of their recipients' streams that were not handed them; what was deleted is not sent. */
  async function redeliver(due: readonly DueDelivery[]): Promise<void> {
    if (due.length === 0) return;
    const messages = await findFirstSent(sql, due);
    const createdAt = new Date().toISOString();
    for (const [index, { tenantId, dialogId, participantId, attempts }] of due.entries()) {
      const sent = messages.get(index);
      if (!sent) continue;
      const data: RedeliveryData = { ...sent, participantId, attempt: attempts };
      publisher.ephemeral({
        tenantId,
        module: 'dialog',
        streamId: dialogId,
        type: redeliveryType,
        actor: 'system',
        data: { ...data },
        createdAt,
      });
    }
  }

  async function sweepDeliveries(): Promise<number> {
    const rows = await sql<DueDelivery[]>`
      WITH due AS (
        SELECT tenant_id, dialog_id, message_id, participant_id FROM dialog.delivery WHERE next_attempt_at <= now() ORDER BY next_attempt_at LIMIT ${deliveryPage} FOR UPDATE SKIP LOCKED
      )
      UPDATE dialog.delivery d SET updated_at = now(),
        status = CASE WHEN d.expires_at <= now() THEN 'EXPIRED' WHEN d.attempts > ${maxDeliveryRetries} THEN 'FAILED' ELSE 'SENT' END,
        attempts = CASE WHEN d.expires_at <= now() OR d.attempts > ${maxDeliveryRetries} THEN d.attempts ELSE d.attempts + 1 END,
        next_attempt_at = CASE WHEN d.expires_at <= now() OR d.attempts > ${maxDeliveryRetries} THEN NULL ELSE now() + make_interval(secs => power(2, d.attempts)) END
      FROM due WHERE d.tenant_id = due.tenant_id AND d.dialog_id = due.dialog_id AND d.message_id = due.message_id AND d.participant_id = due.participant_id
      RETURNING d.tenant_id AS "tenantId", d.dialog_id AS "dialogId", d.message_id AS "messageId", d.participant_id AS "participantId", d.attempts, d.status`;
    await redeliver(rows.filter((row) => row.status === 'SENT'));
    return rows.length;
  }

  return {
    /** Pauses what was idle and completes what has lasted too long; answers how many dialogs were looked at. */
    async sweepIdle(now = new Date()): Promise<number> {
      const due = await sql<{ tenantId: string; dialogId: string; lastActivityAt: Date }[]>`
        SELECT d.tenant_id AS "tenantId", d.id AS "dialogId", s.last_activity_at AS "lastActivityAt" FROM dialog.dialog d
        JOIN dialog.dialog_state s ON s.tenant_id = d.tenant_id AND s.dialog_id = d.id
        WHERE d.next_check_at <= ${now} ORDER BY d.next_check_at LIMIT ${sweepPage}`;
      await Promise.all(
        due.map(async ({ tenantId, dialogId }) => {
          const result = await runMove(tenantId, dialogId, (current) => checkTime(current, now), 'dialog.timeout');
          const dialog = result.dialog;
          // Nothing had run out: there were messages since, so it is looked at again when they have aged.
          if (
            dialog &&
            isOpen(dialog.status) &&
            dialog.nextCheckAt !== null &&
            Date.parse(dialog.nextCheckAt) <= now.getTime()
          ) {
            const next = nextCheck(dialog, dialog.lastActivityAt);
            await sql`UPDATE dialog.dialog SET next_check_at = ${next} WHERE tenant_id = ${tenantId} AND id = ${dialogId} AND next_check_at = ${dialog.nextCheckAt}`;
          }
        }),
      );
      return due.length;
    },

    /** Deletes what is older than its dialog keeps, a page at a time; answers the number of messages. */
    async retain(now = new Date()): Promise<number> {
      let deleted = 0;
      for (;;) {
        const rows = await sql<{ tenantId: string; dialogId: string; upto: number; n: number }[]>`
          WITH old AS (
            SELECT m.tenant_id, m.id, m.created_at FROM dialog.message m JOIN dialog.dialog d ON d.tenant_id = m.tenant_id AND d.id = m.dialog_id
            WHERE m.created_at < ${now}::timestamptz - interval '1 day' AND m.created_at < ${now}::timestamptz - make_interval(days => d.retention_days) AND m.protocol IS NULL
            LIMIT 5000
          ), gone AS (
            DELETE FROM dialog.message m USING old WHERE m.tenant_id = old.tenant_id AND m.id = old.id AND m.created_at = old.created_at RETURNING m.tenant_id, m.dialog_id, m.id, m.sequence
          ), keys AS (
            DELETE FROM dialog.message_key k USING gone WHERE k.tenant_id = gone.tenant_id AND k.dialog_id = gone.dialog_id AND k.message_id = gone.id
          ), analyses AS (
            DELETE FROM dialog.message_analysis a USING gone WHERE a.tenant_id = gone.tenant_id AND a.message_id = gone.id
          ), deliveries AS (
            DELETE FROM dialog.delivery v USING gone WHERE v.tenant_id = gone.tenant_id AND v.dialog_id = gone.dialog_id AND v.message_id = gone.id
          )
          SELECT tenant_id AS "tenantId", dialog_id AS "dialogId", max(sequence) AS upto, count(*)::int AS n FROM gone GROUP BY tenant_id, dialog_id`;
        for (const row of rows) {
          deleted += row.n;
          await sql`UPDATE dialog.dialog SET kept_from = GREATEST(kept_from, ${row.upto + 1}) WHERE tenant_id = ${row.tenantId} AND id = ${row.dialogId}`;
        }
        if (rows.length === 0) return deleted;
      }
    },

    /** Forgets memory whose time is over, deliveries that ended a month ago and answers that count no more. */
    async forget(): Promise<void> {
      await sql`DELETE FROM dialog.memory WHERE expires_at <= now()`;
      await sql`DELETE FROM dialog.delivery WHERE next_attempt_at IS NULL AND updated_at < now() - interval '30 days'`;
      await sql`DELETE FROM dialog.auto_reply WHERE created_at < now() - interval '1 day'`;
    },

    sweepDeliveries,

    /** Retries come at the second, finer than the job queue's clock. */
    startDeliveries(): StartedModule {
      let active: Promise<unknown> = Promise.resolve();
      let closed = false;
      const timer = setInterval(() => {
        active = active.then(async () => {
          if (closed) return;
          await sweepDeliveries().catch((error: unknown) =>
            logger.warn({ error: String(error) }, 'deliveries could not be retried'),
          );
        });
      }, deliverySweepMs);
      return {
        async close() {
          closed = true;
          clearInterval(timer);
          await active;
        },
      };
    },

    /**
     * A context's fate is its dialogs': suspended pauses them, active again resumes those that it paused, closed
     * completes, deleted cancels.
     */
    async followContext({ tenantId, contextId, status }: ContextChange): Promise<void> {
      const move = moveFor(status);
      if (!move) return;
      const dialogs = await sql<{ id: string }[]>`
        SELECT id FROM dialog.dialog WHERE tenant_id = ${tenantId} AND context_id = ${contextId} AND status = ANY(${move.from})
          AND (${move.to !== 'active'} OR paused_by = 'CONTEXT')`;
      await Promise.all(dialogs.map(({ id }) => followContextOf(tenantId, id, move)));
    },

    /** Moves what was opened or moved at the very moment its context was suspended, ended or became active again. */
    async reconcileContexts(): Promise<void> {
      const left = await sql<{ tenantId: string; id: string; status: string }[]>`
        SELECT d.tenant_id AS "tenantId", d.id, r.status FROM dialog.replica r
        JOIN dialog.dialog d ON d.tenant_id = r.tenant_id AND d.context_id = r.id AND d.status IN ('active', 'paused')
        WHERE r.type = 'Context' AND d.protocol IS NULL AND (r.status IN ('closed', 'deleted') OR (r.status = 'suspended' AND d.status = 'active')
          OR (r.status = 'active' AND d.status = 'paused' AND d.paused_by = 'CONTEXT')) LIMIT ${sweepPage}`;
      await Promise.all(left.map(({ tenantId, id, status }) => followContextOf(tenantId, id, moveFor(status)!)));
    },
  };
}

export type Lifecycle = ReturnType<typeof createLifecycle>;

type ContextMove = Pick<Move, 'to' | 'reason'> & { readonly from: string[] };

function moveFor(status: string): ContextMove | null {
  switch (status) {
    case 'suspended':
      return { to: 'paused', from: ['active'], reason: 'the context was suspended' };
    case 'active':
      return { to: 'active', from: ['paused'], reason: 'the context is active again' };
    case 'closed':
      return { to: 'completed', from: ['active', 'paused'], reason: 'the context was closed' };
    case 'deleted':
      return { to: 'cancelled', from: ['active', 'paused'], reason: 'the context was deleted' };
    default:
      return null;
  }
}
