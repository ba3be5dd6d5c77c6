import { z } from 'zod';
import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { erasureStream } from '#shared/erasure/moduleErasure.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { Once } from '#shared/once.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { id as idSchema, parseInput } from '#shared/validation.ts';
import { callOf } from '../call.ts';
import { reason, subject as subjectSchema } from '../security/inputs.ts';
import { type ErasureRow, erasureColumns } from './rows.ts';

/** A request under the GDPR has to be met within a month (Art. 12(3)). */
const maxGraceSeconds = 30 * 86_400;
const maxOpen = 100;

export const erasureInput = z.object({
  subject: subjectSchema,
  content: z
    .enum(['KEEP', 'REDACT'])
    .nullish()
    .transform((content) => (content === 'KEEP' ? 'keep' : 'redact')),
  dryRun: z
    .boolean()
    .nullish()
    .transform((dryRun) => dryRun ?? false),
  graceSeconds: z
    .number()
    .int()
    .min(0)
    .max(maxGraceSeconds)
    .nullish()
    .transform((seconds) => seconds ?? 0),
  reason,
});

export const advanceKey = (erasureId: string) => `erasure ${erasureId}`;

/** What is asked to be erased, and how far it has come. */
export function createErasures({ sql, once }: { readonly sql: Sql; readonly once: Once }) {
  async function find(db: Pick<SqlTransaction, 'unsafe'>, tenantId: string, erasureId: string) {
    const [row] = (await db.unsafe(
      `SELECT ${erasureColumns} FROM platform.subject_erasure e WHERE e.tenant_id = $1 AND e.id = $2::uuid`,
      [tenantId, erasureId],
      { prepare: true },
    )) as unknown as ErasureRow[];
    return row ?? null;
  }

  async function require(db: Pick<SqlTransaction, 'unsafe'>, tenantId: string, erasureId: string): Promise<ErasureRow> {
    const row = await find(db, tenantId, erasureId);
    if (!row) throw new PlatformError('NOT_FOUND', 'no such erasure', { path: ['id'] });
    return row;
  }

  /** @throws {QUOTA_EXCEEDED} while a hundred wait or run. {INVALID_STATE} while the subject is being erased. */
  async function requireRoom(tx: SqlTransaction, tenantId: string, subject: string, dryRun: boolean): Promise<void> {
    await tx`SELECT pg_advisory_xact_lock(hashtextextended(${`platform.subject_erasure/${tenantId}`}, 0))`;
    const [open] = (await tx.unsafe(
      `SELECT count(*)::int AS count, coalesce(bool_or(subject = $2 AND NOT dry_run), false) AS same
       FROM platform.subject_erasure WHERE tenant_id = $1 AND status IN ('pending', 'running')`,
      [tenantId, subject],
    )) as unknown as { count: number; same: boolean }[];
    if (open!.count >= maxOpen)
      throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxOpen} erasures that wait or run`);
    if (open!.same && !dryRun)
      throw new PlatformError('INVALID_STATE', 'the subject is being erased', { path: ['input', 'subject'] });
  }

  return {
    /** @throws {VALIDATION_FAILED} */
    find: ({ principal }: RequestScope, erasureId: string) =>
      find(sql, principal.tenantId, parseInput(idSchema, erasureId, ['id'])),

    async page(scope: RequestScope, input: PageInput) {
      const list = 'subjectErasures';
      const page = readPage(list, 2, input);
      const [at = null, behind = null] = (page.from ?? []) as readonly (string | null)[];
      const rows = (await sql.unsafe(
        `SELECT ${erasureColumns} FROM platform.subject_erasure e
         WHERE e.tenant_id = $1 AND ($2::text IS NULL OR (e.requested_at, e.id) < ($2::text::timestamptz, $3::text::uuid))
         ORDER BY e.requested_at DESC, e.id DESC LIMIT $4`,
        [scope.principal.tenantId, at, behind, page.limit + 1],
        { prepare: true },
      )) as unknown as ErasureRow[];
      return createConnection(list, page, rows, (row) => [row.requestedAt, row.id]);
    },

    /** @throws {VALIDATION_FAILED} {QUOTA_EXCEEDED} {INVALID_STATE} */
    async erase(scope: RequestScope, given: unknown, idempotencyKey?: string | null): Promise<ErasureRow> {
      const input = parseInput(erasureInput, given);
      const { tenantId, subject: by } = scope.principal;
      const { subject, content, dryRun, graceSeconds } = input;
      const erasureId = newId();
      return once<ErasureRow>(scope, {
        call: callOf(scope, idempotencyKey, 'eraseSubject', given),
        repeat: (response) => require(sql, tenantId, (response as { erasureId: string }).erasureId),
        async write(tx) {
          await requireRoom(tx, tenantId, subject, dryRun);
          const startsAt = new Date(Date.now() + (dryRun ? 0 : graceSeconds * 1_000));
          const [row] = (await tx.unsafe(
            `INSERT INTO platform.subject_erasure AS e (tenant_id, id, subject, pseudonym, content, dry_run, reason, requested_by, starts_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::timestamptz) RETURNING ${erasureColumns}`,
            [
              ...[tenantId, erasureId, subject, `erased-${newId()}`, content, dryRun, input.reason ?? null, by],
              startsAt.toISOString(),
            ],
          )) as unknown as ErasureRow[];
          const { pseudonym } = row!;
          // The subject stands in the request alone, until it is done: neither events nor the audit learn it here.
          const detail = { pseudonym, content, dryRun, startsAt: startsAt.toISOString() };
          return {
            row: row!,
            response: { erasureId },
            changes: [
              {
                events: [
                  {
                    streamId: erasureStream(tenantId),
                    type: 'subject.erasure.requested',
                    data: { erasureId, ...detail },
                    tags: [],
                  },
                ],
                audit: [
                  { action: 'subject.erasure.requested', resource: 'SubjectErasure', resourceId: erasureId, detail },
                ],
                jobs: [
                  {
                    task: 'platform.advanceErasure',
                    payload: { tenantId, erasureId },
                    key: advanceKey(erasureId),
                    ...(graceSeconds === 0 || dryRun ? {} : { runAt: startsAt }),
                  },
                ],
              },
            ],
          };
        },
      });
    },

    /** Takes it back before it has begun; again it changes nothing. @throws {NOT_FOUND} {INVALID_STATE} once it has begun. */
    async cancel(scope: RequestScope, erasureId: string, idempotencyKey?: string | null): Promise<ErasureRow> {
      parseInput(idSchema, erasureId, ['id']);
      const { tenantId, subject: by } = scope.principal;
      return once<ErasureRow>(scope, {
        call: callOf(scope, idempotencyKey, 'cancelSubjectErasure', { id: erasureId }),
        repeat: () => require(sql, tenantId, erasureId),
        async write(tx) {
          const before = await require(tx, tenantId, erasureId);
          if (before.status === 'cancelled') return { row: before, response: {}, changes: [] };
          const [row] = (await tx.unsafe(
            `UPDATE platform.subject_erasure e SET status = 'cancelled', cancelled_by = $3, cancelled_at = now()
             WHERE e.tenant_id = $1 AND e.id = $2 AND e.status = 'pending' RETURNING ${erasureColumns}`,
            [tenantId, erasureId, by],
          )) as unknown as ErasureRow[];
          if (!row)
            throw new PlatformError('INVALID_STATE', 'the erasure has begun, and cannot be taken back', {
              path: ['id'],
            });
          return {
            row,
            response: {},
            changes: [
              {
                events: [
                  {
                    streamId: erasureStream(tenantId),
                    type: 'subject.erasure.cancelled',
                    data: { erasureId },
                    tags: [],
                  },
                ],
                audit: [{ action: 'subject.erasure.cancelled', resource: 'SubjectErasure', resourceId: erasureId }],
              },
            ],
          };
        },
      });
    },
  };
}
