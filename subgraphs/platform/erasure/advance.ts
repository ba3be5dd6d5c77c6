import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Bus } from '#shared/bus.ts';
import { type ErasureJob, type ExemptRows, erasureStream } from '#shared/erasure/moduleErasure.ts';
import { createWords } from '#shared/erasure/words.ts';
import type { EventRow } from '#shared/events.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { Publisher } from '#shared/publisher.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { StartedModule } from '#shared/subgraph.ts';
import type { SubjectDigest } from '#shared/subjectDigest.ts';
import type { Logger } from '#shared/telemetry.ts';
import { type SubgraphName, subgraphNames } from '../../names.ts';
import { modulesByDatabase } from '../audit/databases.ts';
import { everyEntryTag } from '../caching/reader.ts';
import { longestTokenMs } from '../security/inputs.ts';
import { revocationStream } from '../security/revocations.ts';
import { advanceKey } from './erasures.ts';
import { type ErasureRow, erasureColumns } from './rows.ts';

/** The tag that every answer in the gateway's cache has. */
const everythingTag = '*';

export interface AdvanceDeps {
  readonly sql: Sql;
  readonly sqlOf: (module: SubgraphName) => Sql;
  readonly bus: Bus;
  readonly publisher: Publisher;
  readonly logger: Pick<Logger, 'warn' | 'info'>;
  readonly digest: SubjectDigest;
}

interface ModuleProgress {
  readonly module: SubgraphName;
  readonly counts: Readonly<Record<string, number>>;
  readonly exempt: readonly ExemptRows[];
  readonly pages: number;
  readonly progress: number;
  readonly done: boolean;
}

/**
 * Brings erasures on: each module erases in its own tables by a job of its own (`<module>.eraseSubject`), in whichever
 * process and database it lives; here is what comes before, the sum of what they say, and what comes after. Every step may
 * come again.
 */
export function createAdvance({ sql, sqlOf, bus, publisher, logger, digest }: AdvanceDeps) {
  const append = (tx: SqlTransaction, { tenantId }: ErasureJob, change: Omit<Change, 'tenantId' | 'actor'>) =>
    appendChange(tx, 'platform', [{ tenantId, actor: 'platform', ...change }]);

  /** What was issued to the subject so far is refused from now on; the revocation does not name it. */
  async function revoke(tx: SqlTransaction, { tenantId }: ErasureJob, subject: string) {
    const key = digest(tenantId, subject);
    const [row] = (await tx.unsafe(
      `INSERT INTO platform.revocation AS r (tenant_id, kind, key, not_after, reason, created_by, expires_at)
       VALUES ($1, 'erased', $2, clock_timestamp(), 'erased', 'platform', $3::text::timestamptz)
       ON CONFLICT (tenant_id, kind, key) DO UPDATE SET not_after = EXCLUDED.not_after, expires_at = EXCLUDED.expires_at
       RETURNING not_after AS "notAfter", expires_at AS "expiresAt"`,
      [tenantId, key, new Date(Date.now() + longestTokenMs).toISOString()],
    )) as unknown as { notAfter: Date; expiresAt: Date }[];
    const data = {
      kind: 'erased',
      key,
      notAfter: row!.notAfter.toISOString(),
      expiresAt: row!.expiresAt.toISOString(),
    };
    return { streamId: revocationStream(tenantId), type: 'token.revoked', data, tags: [] };
  }

  async function begin(job: ErasureJob): Promise<void> {
    let events: readonly EventRow[] = [];
    await sql.begin(async (tx) => {
      const [row] = (await tx.unsafe(
        `UPDATE platform.subject_erasure e SET status = 'running', started_at = now()
         WHERE e.tenant_id = $1 AND e.id = $2 AND e.status = 'pending' AND e.starts_at <= now() + interval '1 second'
         RETURNING ${erasureColumns}`,
        [job.tenantId, job.erasureId],
      )) as unknown as ErasureRow[];
      if (!row || row.dryRun) return;
      events = await append(tx, job, {
        events: [await revoke(tx, job, row.subject)],
        audit: [{ action: 'subject.erasure.begun', resource: 'SubjectErasure', resourceId: row.id }],
      });
    });
    await publisher.published(events);
  }

  async function readProgress({ tenantId, erasureId }: ErasureJob): Promise<readonly ModuleProgress[]> {
    const found: ModuleProgress[] = [];
    for (const [db, modules] of modulesByDatabase(sqlOf)) {
      const parts = modules.map(
        (module) => `SELECT '${module}' AS module, counts, exempt, pages, progress, finished_at IS NOT NULL AS done
          FROM ${module}.erasure_progress WHERE tenant_id = $1 AND id = $2`,
      );
      found.push(
        ...((await db.unsafe(parts.join(' UNION ALL '), [tenantId, erasureId])) as unknown as ModuleProgress[]),
      );
    }
    return found;
  }

  /** Modules that are not done have a job: one that a dead process still holds is left to it, and another one made. */
  async function start({ tenantId, erasureId }: ErasureJob, done: ReadonlySet<SubgraphName>): Promise<void> {
    for (const [db, modules] of modulesByDatabase(sqlOf)) {
      for (const module of modules) {
        if (done.has(module)) continue;
        await db.unsafe(`SELECT graphile_worker.add_job($1, $2::text::json, max_attempts := 25, job_key := $3)`, [
          `${module}.eraseSubject`,
          JSON.stringify({ tenantId, erasureId }),
          `${module} ${advanceKey(erasureId)}`,
        ]);
      }
    }
  }

  async function finish(job: ErasureJob, row: ErasureRow, progress: readonly ModuleProgress[]): Promise<void> {
    const { tenantId, erasureId } = job;
    const { subject, pseudonym, content, dryRun } = row;
    const counts = progress.flatMap(({ module, counts: own }) =>
      Object.entries(own).map(([table, rows]) => ({ module, table, rows })),
    );
    const exempt = progress.flatMap(({ module, exempt: own }) => own.map((entry) => ({ module, ...entry })));
    const words = createWords({ subject, pseudonym, content: 'keep' });
    const shown = (text: string | null) => (text === null || dryRun ? text : (words.replace(text, 'text') as string));
    const attested = { subjectDigest: digest(tenantId, subject), finishedAt: new Date().toISOString() };
    const sha256 = createHash('sha256')
      .update(canonicalize({ ...attested, tenantId, erasureId, pseudonym, content, counts, exempt })!)
      .digest('hex');
    let events: readonly EventRow[] = [];
    await sql.begin(async (tx) => {
      const ended = await tx.unsafe(
        `UPDATE platform.subject_erasure SET status = 'done', finished_at = $3::text::timestamptz, progress = 1, pages = $4,
           counts = $5::text::jsonb, exempt = $6::text::jsonb, certificate = $7::text::jsonb
         WHERE tenant_id = $1 AND id = $2 AND status = 'running' RETURNING 1`,
        [
          ...[tenantId, erasureId, attested.finishedAt, progress.reduce((sum, { pages }) => sum + pages, 0)],
          ...[JSON.stringify(counts), JSON.stringify(exempt)],
          dryRun ? null : JSON.stringify({ ...attested, sha256 }),
        ],
      );
      if (ended.length === 0) return;
      if (!dryRun) await forget(tx, job, row, shown);
      const data = { erasureId, pseudonym, dryRun, rows: counts.reduce((sum, { rows }) => sum + rows, 0) };
      events = await append(tx, job, {
        events: [
          {
            streamId: erasureStream(tenantId),
            type: 'subject.erasure.finished',
            data,
            // Whatever is cached of the tenant may name the subject.
            tags: dryRun ? [] : [everythingTag, everyEntryTag],
          },
        ],
        audit: [
          {
            action: 'subject.erasure.finished',
            resource: 'SubjectErasure',
            resourceId: erasureId,
            detail: { ...data, ...(dryRun ? {} : { certificate: sha256 }) },
          },
        ],
      });
    });
    await publisher.published(events);
    logger.info({ erasure: erasureId, dryRun }, 'an erasure is done');
  }

  /** Requests name the subject too: this one, what was counted before, and what was cancelled. */
  async function forget(
    tx: SqlTransaction,
    { tenantId }: ErasureJob,
    { subject, pseudonym }: ErasureRow,
    shown: (text: string | null) => string | null,
  ): Promise<void> {
    const rows = (await tx.unsafe(
      `SELECT e.id, e.reason FROM platform.subject_erasure e
       WHERE e.tenant_id = $1 AND (e.subject = $2 OR e.requested_by = $2 OR e.cancelled_by = $2 OR strpos(e.reason, $2) > 0) FOR UPDATE`,
      [tenantId, subject],
    )) as unknown as { id: string; reason: string | null }[];
    const put = (column: string) => `${column} = CASE WHEN ${column} = $2 THEN $3 ELSE ${column} END`;
    for (const { id, reason } of rows) {
      await tx.unsafe(
        `UPDATE platform.subject_erasure SET ${put('subject')}, ${put('requested_by')}, ${put('cancelled_by')}, reason = $5
         WHERE tenant_id = $1 AND id = $4`,
        [tenantId, subject, pseudonym, id, shown(reason)],
      );
    }
  }

  async function advance(job: ErasureJob): Promise<void> {
    const { tenantId, erasureId } = job;
    await begin(job);
    const [row] = (await sql.unsafe(
      `SELECT ${erasureColumns} FROM platform.subject_erasure e WHERE e.tenant_id = $1 AND e.id = $2 AND e.status = 'running'`,
      [tenantId, erasureId],
    )) as unknown as ErasureRow[];
    if (!row) return;
    const progress = await readProgress(job);
    const done = new Set(progress.filter((own) => own.done).map(({ module }) => module));
    if (done.size === subgraphNames.length) return finish(job, row, progress);
    await sql.unsafe(
      `UPDATE platform.subject_erasure SET progress = $3, pages = $4 WHERE tenant_id = $1 AND id = $2 AND status = 'running'`,
      [
        ...[tenantId, erasureId],
        progress.reduce((sum, own) => sum + (own.done ? 1 : own.progress), 0) / subgraphNames.length,
        progress.reduce((sum, { pages }) => sum + pages, 0),
      ],
    );
    // Those that have begun go on by themselves, and are looked after once a minute.
    const begun = new Set(progress.map(({ module }) => module));
    await start(job, begun);
  }

  const enqueue = ({ tenantId, erasureId }: ErasureJob) =>
    sql.unsafe(`SELECT graphile_worker.add_job('platform.advanceErasure', $1::text::json, job_key := $2)`, [
      JSON.stringify({ tenantId, erasureId }),
      advanceKey(erasureId),
    ]);

  /** Takes up what a crash left or an event did not tell: also modules that have begun get a job again. */
  async function resume(): Promise<void> {
    const rows = (await sql.unsafe(
      `SELECT tenant_id AS "tenantId", id AS "erasureId" FROM platform.subject_erasure
       WHERE status IN ('pending', 'running') AND starts_at <= now()`,
    )) as unknown as ErasureJob[];
    for (const job of rows) {
      const progress = await readProgress(job);
      if (progress.length > 0)
        await start(job, new Set(progress.filter((own) => own.done).map(({ module }) => module)));
      await enqueue(job);
    }
  }

  return {
    advance: (payload: unknown) => advance(payload as ErasureJob),
    resume,
    /** Hears of modules that are done. */
    async start(): Promise<StartedModule> {
      const unsubscribe = bus.subscribe('*', (messages) => {
        for (const { type, tenantId, data } of messages) {
          if (type !== 'subject.erased' && type !== 'subject.counted') continue;
          enqueue({ tenantId, erasureId: String(data['erasureId']) }).catch((error: unknown) =>
            logger.warn({ error: String(error) }, 'an erasure goes on a minute later'),
          );
        }
      });
      await resume();
      return {
        async close() {
          unsubscribe();
        },
      };
    },
  };
}
