import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { clockText, readClock } from './clock.ts';
import type { CommandRunner } from './commands.ts';
import { type DeadlineReport, meetDeadlines, stepsToEscalate } from './deadlines.ts';
import { systemPrincipal } from './directory.ts';
import { createDraft, viewOf } from './draft.ts';
import { levelsOf } from './levels.ts';
import type { Routing } from './routing.ts';
import type { ConfirmRow } from './rows.ts';
import { confirmColumns, findConfirms } from './store.ts';

/** How long a worker that has claimed a confirm keeps others away, s; after that it is taken for dead. */
const leaseSeconds = 30;
export const maxEscalationBatch = 1_000;

export interface EscalationReport {
  readonly examined: number;
  readonly escalated: readonly { readonly confirmId: string; readonly stepId: string; readonly level: number }[];
  readonly expired: readonly string[];
  readonly breached: readonly string[];
  readonly autoDecided: readonly string[];
  readonly extended: readonly string[];
  readonly reminded: readonly string[];
  readonly notified: readonly string[];
  readonly nextDueAt: string | null;
}

export interface ProcessOptions {
  /** Null: of all tenants. */
  readonly tenantId: string | null;
  /** Null: the database's time. */
  readonly nowMs: number | null;
  readonly limit: number;
}

/** Confirms whose deadline has passed, claimed for this worker: nobody else gets them while the lease lasts. */
async function claim(
  sql: Sql,
  { tenantId, nowMs, limit }: ProcessOptions,
): Promise<readonly { readonly confirm: ConfirmRow; readonly clockMs: number }[]> {
  const rows = (await sql.unsafe(
    `WITH due AS MATERIALIZED (
       SELECT d.tenant_id, d.id FROM confirm.confirm d
       WHERE d.next_deadline_at <= COALESCE($1::text::timestamptz, clock_timestamp()) AND d.status = 'pending' AND d.governance->'locked' IS DISTINCT FROM 'true'::jsonb AND ($2::text IS NULL OR d.tenant_id = $2)
         AND (d.claimed_until IS NULL OR d.claimed_until < clock_timestamp())
       ORDER BY d.next_deadline_at LIMIT $3 FOR UPDATE SKIP LOCKED)
     UPDATE confirm.confirm c SET claimed_until = clock_timestamp() + interval '${leaseSeconds} seconds'
     FROM due
     WHERE c.tenant_id = due.tenant_id AND c.id = due.id RETURNING ${confirmColumns}, ${clockText} AS "clockMs"`,
    [nowMs === null ? null : new Date(nowMs).toISOString(), tenantId, limit],
    { prepare: true },
  )) as unknown as (ConfirmRow & { clockMs: number })[];
  return rows.map(({ clockMs, ...confirm }) => ({ confirm, clockMs }));
}

/** Looks after what is late. What was done moves the deadline, so that doing it again does nothing. */
export function createEscalations(
  { sql }: Pick<ModuleRuntime, 'sql'>,
  { commands, routing }: { readonly commands: CommandRunner; readonly routing: Routing },
) {
  async function meet(confirm: ConfirmRow, nowMs: number): Promise<DeadlineReport | null> {
    const late = stepsToEscalate(viewOf(confirm), nowMs).map(({ id }) => id);
    // Asked before the lock is taken: it may take its time.
    const levels = await levelsOf(routing, confirm, (id) => late.includes(id));
    let report: DeadlineReport | null = null;
    await commands.run({
      scope: null,
      principal: systemPrincipal(confirm.tenantId),
      confirmId: confirm.id,
      idempotent: null,
      gateKey: null,
      action: 'confirm.deadline',
      decide(current, clockMs) {
        // A retried batch decides anew.
        report = null;
        if (current === null || current.confirm.status !== 'pending' || current.confirm.governance?.locked === true)
          return null;
        const { nextDeadlineAt, version } = current.confirm;
        if (nextDeadlineAt === null || Date.parse(nextDeadlineAt) > nowMs) return null;
        // Somebody moved it since its people were looked up: the next look finds it as it is.
        if (version !== confirm.version) return null;
        const draft = createDraft(current.confirm, current.approvers, {
          // A step's new time begins when it is looked at.
          atMs: Math.max(nowMs, clockMs),
        });
        report = meetDeadlines(draft, nowMs, levels);
        return draft;
      },
    });
    return report;
  }

  async function findNext(tenantId: string | null): Promise<string | null> {
    const [row] = (await sql.unsafe(
      `SELECT min(next_deadline_at) AS at FROM confirm.confirm WHERE next_deadline_at IS NOT NULL AND ($1::text IS NULL OR tenant_id = $1)`,
      [tenantId],
      { prepare: true },
    )) as unknown as { at: Date | null }[];
    return row?.at?.toISOString() ?? null;
  }

  return {
    /** @throws {VALIDATION_FAILED} when the limit is out of range. */
    async process(options: ProcessOptions): Promise<EscalationReport> {
      if (options.limit < 1 || options.limit > maxEscalationBatch)
        throw new PlatformError(
          'VALIDATION_FAILED',
          `limit: expected 1 to ${maxEscalationBatch}, got ${options.limit}`,
          { path: ['limit'] },
        );
      const claimed = await claim(sql, options);
      const reports = await Promise.all(
        claimed.map(async ({ confirm, clockMs }) => ({
          confirm,
          id: confirm.id,
          report: await meet(confirm, options.nowMs ?? clockMs),
        })),
      );
      // Claims of what turned out to need nothing, or was moved meanwhile, are given back.
      const idle = reports.filter(({ report }) => report === null).map(({ confirm }) => confirm);
      if (idle.length > 0)
        await sql.unsafe(
          // Locked in the order in which commands lock theirs: a deadlock costs a second.
          `UPDATE confirm.confirm c SET claimed_until = NULL
           FROM (SELECT tenant_id, id FROM confirm.confirm
                 WHERE (tenant_id, id) IN (SELECT * FROM unnest($1::text[], $2::uuid[])) ORDER BY tenant_id, id FOR UPDATE) held
           WHERE c.tenant_id = held.tenant_id AND c.id = held.id`,
          [idle.map(({ tenantId }) => tenantId), idle.map(({ id }) => id)],
          { prepare: true },
        );
      const done = reports.flatMap(({ id, report }) => (report === null ? [] : [{ id, report }]));
      const idsWhere = (test: (report: DeadlineReport) => boolean) =>
        done.filter(({ report }) => test(report)).map(({ id }) => id);
      return {
        examined: claimed.length,
        escalated: done.flatMap(({ id, report }) => report.escalated.map((entry) => ({ confirmId: id, ...entry }))),
        expired: idsWhere(({ expired }) => expired),
        breached: idsWhere(({ breached }) => breached),
        autoDecided: idsWhere(({ autoDecided }) => autoDecided.length > 0),
        extended: idsWhere(({ extended }) => extended.length > 0),
        reminded: idsWhere(({ reminded }) => reminded.length > 0),
        notified: idsWhere(({ notified }) => notified.length > 0),
        nextDueAt: await findNext(options.tenantId),
      };
    },

    /** Timer or job of one confirm. */
    async meetOne(tenantId: string, confirmId: string): Promise<void> {
      const [[confirm], nowMs] = await Promise.all([findConfirms(sql, tenantId, [confirmId]), readClock(sql)]);
      if (confirm?.status === 'pending') await meet(confirm, nowMs);
    },

    /** Confirms due within that time, soonest first, and in how many ms by the database's clock. */
    async findDue(withinMs: number): Promise<readonly { tenantId: string; confirmId: string; inMs: number }[]> {
      return (await sql.unsafe(
        `SELECT tenant_id AS "tenantId", id AS "confirmId", (extract(epoch FROM next_deadline_at - clock_timestamp()) * 1000)::float8 AS "inMs" FROM confirm.confirm
         WHERE next_deadline_at <= clock_timestamp() + $1::float8 * interval '1 millisecond' AND status = 'pending' ORDER BY next_deadline_at LIMIT 500`,
        [withinMs],
        { prepare: true },
      )) as unknown as { tenantId: string; confirmId: string; inMs: number }[];
    },
  };
}

export type Escalations = ReturnType<typeof createEscalations>;
