import type { SubgraphName } from '../../names.ts';
import { derivedId } from '../derivedId.ts';
import type { EventRow } from '../events.ts';
import type { JobHandler } from '../jobs.ts';
import { appendChange } from '../outbox.ts';
import type { Publisher } from '../publisher.ts';
import type { Sql, SqlTransaction } from '../sql.ts';
import { replacePage } from './rows.ts';
import type { DerivedData, ErasureRules } from './rules.ts';
import { type ErasableTable, type ExemptTable, findErasableTables } from './tables.ts';
import { createWords, type ErasedContent, type Words } from './words.ts';

/** At most for one page of a table that is read from end to end. */
const pageTimeoutMs = 600_000;
/** Others may name the subject while it is erased; what comes after so many rounds is theirs. */
const maxPasses = 5;

export interface ModuleErasureDeps {
  readonly module: SubgraphName;
  readonly sql: Sql;
  /** Database of the platform module, which keeps what was asked for. */
  readonly platformSql: Sql;
  readonly publisher: Publisher;
  readonly rules: ErasureRules;
}

export interface ErasureJob {
  readonly tenantId: string;
  readonly erasureId: string;
}

interface Asked {
  readonly subject: string;
  readonly pseudonym: string;
  readonly content: ErasedContent;
  readonly dryRun: boolean;
}

/** Rows left as they are, and why. */
export interface ExemptRows {
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: number;
  readonly reason: string;
}

interface Progress {
  readonly pass: number;
  /** Derived data first, then tables. */
  readonly step: number;
  readonly cursor: readonly string[] | null;
  /** Changed in this pass. */
  readonly changed: number;
  readonly counts: Readonly<Record<string, number>>;
}

/** What an erasure does in one module, found once a job. */
interface Plan {
  readonly derived: readonly DerivedData[];
  readonly tables: readonly ErasableTable[];
  readonly exempt: readonly ExemptTable[];
  readonly words: Words;
}

/** Events of erasures of a tenant in a module. */
export const erasureStream = (tenantId: string) => derivedId(`erasures ${tenantId}`);

/**
 * Erases a subject in the tables of one module: page by page, each in a transaction with the module's own progress, so that
 * whoever takes over after a crash goes on where it ended, and two at once take turns. The subject is read of the platform
 * module's request each time and stands in no job. Goes through the tables until a round changes nothing, and tells
 * `subject.erased` at the end.
 */
export function createModuleErasure(deps: ModuleErasureDeps): JobHandler {
  const { module, sql, platformSql, publisher, rules } = deps;

  async function findAsked({ tenantId, erasureId }: ErasureJob): Promise<Asked | null> {
    const [row] = (await platformSql.unsafe(
      `SELECT subject, pseudonym, content, dry_run AS "dryRun" FROM platform.subject_erasure
       WHERE tenant_id = $1 AND id = $2 AND status = 'running'`,
      [tenantId, erasureId],
    )) as unknown as Asked[];
    return row ?? null;
  }

  async function readPlan(asked: Asked): Promise<Plan> {
    const { tables, exempt, structural } = await findErasableTables(sql, module, rules);
    const derived = (rules.derived ?? []).filter(({ withContent }) => !withContent || asked.content === 'redact');
    return { derived, tables, exempt, words: createWords({ ...asked, structural }) };
  }

  async function derivedStep(tx: SqlTransaction, { tenantId }: ErasureJob, asked: Asked, step: DerivedData) {
    const name = `${module}."${step.table}"`;
    const where = `t.tenant_id = $1 AND (${step.where})`;
    const parts =
      step.parts &&
      `${module}."${step.parts.table}" p USING gone g WHERE p.tenant_id = $1 AND p.${step.parts.of} = g.id`;
    const remove =
      parts === undefined
        ? `DELETE FROM ${name} t WHERE ${where} RETURNING 1`
        : `WITH gone AS (DELETE FROM ${name} t WHERE ${where} RETURNING t.id), parts AS (DELETE FROM ${parts}) SELECT 1 FROM gone`;
    const change = step.set === undefined ? remove : `UPDATE ${name} t SET ${step.set} WHERE ${where} RETURNING 1`;
    const text = asked.dryRun ? `SELECT 1 FROM ${name} t WHERE ${where}` : change;
    return (await tx.unsafe(text, [tenantId, asked.subject])).length;
  }

  /** Rows that would change if they were not left as they are. */
  async function countExempt(tx: SqlTransaction, { tenantId }: ErasureJob, asked: Asked, plan: Plan) {
    const found: ExemptRows[] = [];
    const words = createWords({ ...asked, content: 'keep' });
    for (const table of plan.exempt) {
      let rows = 0;
      let cursor: readonly string[] | null = null;
      do {
        const page = await replacePage(table, cursor, {
          ...{ tx, tenantId, subject: asked.subject, words, rules: {}, dryRun: true, gone: null },
        });
        rows += page.changed;
        cursor = page.cursor;
      } while (cursor !== null);
      const columns = [...table.columns.map(({ column }) => column), ...table.vectors];
      if (rows > 0) found.push({ table: table.table, columns, rows, reason: table.reason });
    }
    return found;
  }

  async function finish(tx: SqlTransaction, job: ErasureJob, asked: Asked, plan: Plan, progress: Progress) {
    const { tenantId, erasureId } = job;
    await tx.unsafe(
      `UPDATE ${module}.erasure_progress SET finished_at = now(), exempt = $3::text::jsonb WHERE tenant_id = $1 AND id = $2`,
      [tenantId, erasureId, JSON.stringify(await countExempt(tx, job, asked, plan))],
    );
    const { pseudonym, dryRun } = asked;
    const data = { erasureId, module, pseudonym, dryRun, counts: progress.counts };
    return appendChange(tx, module, [
      {
        tenantId,
        actor: 'platform',
        events: [
          {
            streamId: erasureStream(tenantId),
            type: dryRun ? 'subject.counted' : 'subject.erased',
            data,
            tags: [],
          },
        ],
        audit: dryRun
          ? []
          : [{ action: 'subject.erased', resource: 'SubjectErasure', resourceId: erasureId, detail: data }],
      },
    ]);
  }

  /** One page; answers whether there is more to do here. */
  async function page(job: ErasureJob, asked: Asked, plan: Plan): Promise<boolean> {
    const { tenantId, erasureId } = job;
    let events: readonly EventRow[] = [];
    const more = (await sql.begin(async (tx) => {
      await tx.unsafe(`SET LOCAL statement_timeout = ${pageTimeoutMs}`);
      const [progress] = (await tx.unsafe(
        `SELECT pass, step, cursor, changed, counts FROM ${module}.erasure_progress
         WHERE tenant_id = $1 AND id = $2 AND finished_at IS NULL FOR UPDATE SKIP LOCKED`,
        [tenantId, erasureId],
      )) as unknown as Progress[];
      if (!progress) return false;
      const { pass, step, cursor } = progress;
      if (step === plan.derived.length + plan.tables.length) {
        if (progress.changed === 0 || asked.dryRun || pass >= maxPasses) {
          events = await finish(tx, job, asked, plan, progress);
          return false;
        }
        await tx.unsafe(
          `UPDATE ${module}.erasure_progress SET pass = pass + 1, step = 0, changed = 0, cursor = NULL WHERE tenant_id = $1 AND id = $2`,
          [tenantId, erasureId],
        );
        return true;
      }
      const derived = plan.derived[step];
      const table = derived?.table ?? plan.tables[step - plan.derived.length]!.table;
      const goes = plan.derived.filter((other) => other.table === table && other.set === undefined);
      const done = derived
        ? { changed: await derivedStep(tx, job, asked, derived), cursor: null }
        : await replacePage(plan.tables[step - plan.derived.length]!, cursor, {
            tx,
            tenantId,
            ...asked,
            words: plan.words,
            rules,
            gone: goes.length === 0 ? null : goes.map(({ where }) => `(${where})`).join(' OR '),
          });
      const counts = { ...progress.counts };
      if (done.changed > 0) counts[table] = (counts[table] ?? 0) + done.changed;
      await tx.unsafe(
        `UPDATE ${module}.erasure_progress SET step = $3, cursor = $4::text::jsonb, changed = changed + $5, counts = $6::text::jsonb,
           pages = pages + 1, progress = $7 WHERE tenant_id = $1 AND id = $2`,
        [
          tenantId,
          erasureId,
          done.cursor === null ? step + 1 : step,
          done.cursor === null ? null : JSON.stringify(done.cursor),
          done.changed,
          JSON.stringify(counts),
          pass > 1 ? 1 : step / (plan.derived.length + plan.tables.length),
        ],
      );
      return true;
    })) as boolean;
    await publisher.published(events);
    return more;
  }

  return async (payload, { signal }) => {
    const job = payload as ErasureJob;
    const asked = await findAsked(job);
    if (!asked) return;
    await sql.unsafe(`INSERT INTO ${module}.erasure_progress (tenant_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, [
      job.tenantId,
      job.erasureId,
    ]);
    const plan = await readPlan(asked);
    while (await page(job, asked, plan)) signal.throwIfAborted();
  };
}
