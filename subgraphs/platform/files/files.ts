import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { Once } from '#shared/once.ts';
import type { Principal } from '#shared/principal.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput } from '#shared/validation.ts';
import { type FileFormat, type FilePurpose, type FileRow, fileColumns } from './rows.ts';
import { maxAttempts } from './writer.ts';

export interface NewFile {
  readonly purpose: FilePurpose;
  readonly format: FileFormat;
  readonly name: string;
  readonly request: Readonly<Record<string, unknown>>;
  readonly contextId?: string | null;
  /** Of what the audit keeps of it, beside format and context. */
  readonly audited?: Readonly<Record<string, unknown>>;
  readonly call: IdempotentCall | null;
}

const openFiles = 10;
const noSuchFile = () => new PlatformError('NOT_FOUND', 'no such file', { path: ['id'] });

/** Files that are written in the background, kept for FILE_RETENTION_DAYS. */
export function createFiles({ sql, config }: ModuleRuntime, once: Once) {
  /** A report is its maker's alone: it shows what that one sees. */
  async function findFile(
    db: Pick<SqlTransaction, 'unsafe'>,
    { tenantId, subject }: Pick<Principal, 'tenantId' | 'subject'>,
    fileId: string,
    purpose: FilePurpose | null,
  ): Promise<FileRow | null> {
    const [row] = (await db.unsafe(
      `SELECT ${fileColumns} FROM platform.file f
       WHERE f.tenant_id = $1 AND f.id = $2::uuid AND ($3::text IS NULL OR f.purpose = $3) AND f.expires_at > now()
         AND (f.purpose <> 'report' OR f.created_by = $4)`,
      [tenantId, fileId, purpose, subject],
      { prepare: true },
    )) as unknown as FileRow[];
    return row ?? null;
  }

  return {
    /** @throws {VALIDATION_FAILED} */
    find: (scope: RequestScope, fileId: string, purpose: FilePurpose | null) =>
      findFile(sql, scope.principal, parseInput(id, fileId, ['id']), purpose),

    /** @throws {QUOTA_EXCEEDED} while ten files of the tenant wait or are being written. */
    create(
      scope: RequestScope,
      { call, purpose, format, name, request, contextId = null, audited = {} }: NewFile,
    ): Promise<FileRow> {
      const { tenantId, subject } = scope.principal;
      return once<FileRow>(scope, {
        call,
        async repeat(response) {
          const row = await findFile(sql, scope.principal, (response as { fileId: string }).fileId, purpose);
          if (!row) throw noSuchFile();
          return row;
        },
        async write(tx) {
          const [open] = await tx<{ n: number }[]>`
            SELECT count(*) AS n FROM platform.file WHERE tenant_id = ${tenantId} AND status IN ('queued', 'running') AND expires_at > now()`;
          if (open!.n >= openFiles)
            throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${openFiles} files being written at a time`);
          const [row] = (await tx.unsafe(
            `INSERT INTO platform.file AS f (tenant_id, id, purpose, format, name, request, context_id, created_by, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, now() + $9::int * interval '1 day') RETURNING ${fileColumns}`,
            [
              tenantId,
              newId(),
              purpose,
              format,
              `${name}.${format}`,
              JSON.stringify(request),
              contextId,
              subject,
              config.FILE_RETENTION_DAYS,
            ],
          )) as unknown as FileRow[];
          return {
            row: row!,
            response: { fileId: row!.id },
            changes: [
              {
                events: [],
                audit: [
                  {
                    action: `${purpose}.file.created`,
                    resource: 'PlatformFile',
                    resourceId: row!.id,
                    detail: { format, contextId, ...audited },
                  },
                ],
                jobs: [{ task: 'platform.writeFile', payload: { tenantId, fileId: row!.id }, maxAttempts }],
              },
            ],
          };
        },
      });
    },

    async page(scope: RequestScope, filter: { purpose: FilePurpose; contextId: string | null }, input: PageInput) {
      if (filter.contextId !== null) parseInput(id, filter.contextId, ['contextId']);
      const list = `files ${filter.purpose}`;
      const page = readPage(list, 2, input);
      const [at, behind] = (page.from ?? [null, null]) as readonly [string | null, string | null];
      const rows = (await sql.unsafe(
        `SELECT ${fileColumns} FROM platform.file f
         WHERE f.tenant_id = $1 AND f.purpose = $2 AND ($3::uuid IS NULL OR f.context_id = $3) AND f.expires_at > now()
           AND ($4::text IS NULL OR (f.created_at, f.id) < ($4::text::timestamptz, $5::text::uuid))
           AND (f.purpose <> 'report' OR f.created_by = $7)
         ORDER BY f.created_at DESC, f.id DESC LIMIT $6`,
        [
          scope.principal.tenantId,
          filter.purpose,
          filter.contextId,
          at,
          behind,
          page.limit + 1,
          scope.principal.subject,
        ],
      )) as unknown as FileRow[];
      return createConnection(list, page, rows, (row) => [row.createdAt, row.id]);
    },

    /** Stops what waits or is being written; again it changes nothing. @throws {NOT_FOUND} {INVALID_STATE} where it has ended. */
    cancel(scope: RequestScope, fileId: string, purpose: FilePurpose, call: IdempotentCall | null): Promise<FileRow> {
      parseInput(id, fileId, ['id']);
      const { tenantId } = scope.principal;
      const find = async (db: Pick<SqlTransaction, 'unsafe'>) => {
        const row = await findFile(db, scope.principal, fileId, purpose);
        if (!row) throw noSuchFile();
        return row;
      };
      return once<FileRow>(scope, {
        call,
        repeat: () => find(sql),
        async write(tx) {
          const before = await find(tx);
          if (before.status === 'cancelled') return { row: before, response: {}, changes: [] };
          const [row] = (await tx.unsafe(
            `UPDATE platform.file f SET status = 'cancelled', finished_at = now()
             WHERE f.tenant_id = $1 AND f.id = $2 AND f.status IN ('queued', 'running') RETURNING ${fileColumns}`,
            [tenantId, fileId],
          )) as unknown as FileRow[];
          if (!row)
            throw new PlatformError('INVALID_STATE', `the file is ${before.status.toUpperCase()}`, { path: ['id'] });
          const audit = [{ action: `${purpose}.file.cancelled`, resource: 'PlatformFile', resourceId: fileId }];
          return { row, response: {}, changes: [{ events: [], audit }] };
        },
      });
    },

    /** One part of a file that is ready, in base64; null where there is none. */
    async content(file: FileRow, part: number): Promise<string | null> {
      if (file.status !== 'ready') throw new PlatformError('INVALID_STATE', `the file is ${file.status.toUpperCase()}`);
      const [row] = await sql<{ bytes: Buffer }[]>`
        SELECT bytes FROM platform.file_part WHERE tenant_id = ${file.tenantId} AND file_id = ${file.id} AND part = ${part}`;
      return row?.bytes.toString('base64') ?? null;
    },

    /** Forgets what has expired. */
    async sweep(): Promise<void> {
      await sql`
        WITH gone AS (DELETE FROM platform.file WHERE expires_at <= now() RETURNING tenant_id, id)
        DELETE FROM platform.file_part p USING gone g WHERE p.tenant_id = g.tenant_id AND p.file_id = g.id`;
    },
  };
}
