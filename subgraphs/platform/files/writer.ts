import { createHash } from 'node:crypto';
import type { JobHandler } from '#shared/jobs.ts';
import { appendChange } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { type FilePurpose, type FileRow, type FileStatus, fileColumns } from './rows.ts';

/** What a source yields: text of some rows, and how far the whole is. */
export interface FileChunk {
  readonly text: string;
  readonly rows: number;
  /** 0 to 1. */
  readonly progress: number;
}

/** Makes the content of a file of its purpose. */
export type FileSource = (file: FileRow, signal: AbortSignal) => AsyncIterable<FileChunk>;

const partBytes = 262_144;
export const maxAttempts = 5;
const keeper = 'platform';

/** Writes queued files in parts; a file that a crash left is begun anew by the next attempt. */
export function createFileWriter(
  { sql, publisher, logger }: ModuleRuntime,
  sources: Readonly<Record<FilePurpose, FileSource>>,
): JobHandler {
  async function findFile(tenantId: string, fileId: string): Promise<FileRow | null> {
    const [row] = (await sql.unsafe(`SELECT ${fileColumns} FROM platform.file f WHERE f.tenant_id = $1 AND f.id = $2`, [
      tenantId,
      fileId,
    ])) as unknown as FileRow[];
    return row ?? null;
  }

  /** Ends the file and tells it, unless somebody has cancelled it meanwhile. */
  async function finish(file: FileRow, status: FileStatus, set: { sha256?: string; failure?: string }): Promise<void> {
    const events = await sql.begin(async (tx) => {
      const [row] = (await tx.unsafe(
        `UPDATE platform.file f SET status = $3, sha256 = decode($4::text, 'hex'), failure = $5, finished_at = now(),
           progress = CASE WHEN $3 = 'ready' THEN 1 ELSE progress END
         WHERE f.tenant_id = $1 AND f.id = $2 AND f.status = 'running' RETURNING ${fileColumns}`,
        [file.tenantId, file.id, status, set.sha256 ?? null, set.failure ?? null],
      )) as unknown as FileRow[];
      if (!row) return [];
      const { id, purpose, name, contextId, rowCount, byteCount, failure } = row;
      return appendChange(tx, 'platform', [
        {
          tenantId: file.tenantId,
          actor: keeper,
          events: [
            {
              streamId: id,
              type: `file.${status}`,
              data: { fileId: id, purpose, name, contextId, rowCount, byteCount, failure },
              tags: [],
            },
          ],
        },
      ]);
    });
    await publisher.published(events);
  }

  async function write(file: FileRow, signal: AbortSignal): Promise<void> {
    const digest = createHash('sha256');
    let [pending, pendingRows, part] = ['', 0, 0];
    /** Answers whether the file is still wanted. */
    const flush = async (progress: number): Promise<boolean> => {
      const bytes = Buffer.from(pending);
      digest.update(bytes);
      const [row] = await sql`
        WITH told AS (
          UPDATE platform.file SET progress = ${progress}, row_count = row_count + ${pendingRows}, byte_count = byte_count + ${bytes.length},
            part_count = part_count + 1
          WHERE tenant_id = ${file.tenantId} AND id = ${file.id} AND status = 'running' RETURNING tenant_id, id
        )
        INSERT INTO platform.file_part (tenant_id, file_id, part, bytes) SELECT tenant_id, id, ${part}, ${bytes} FROM told RETURNING part`;
      [pending, pendingRows, part] = ['', 0, part + 1];
      return row !== undefined;
    };
    for await (const chunk of sources[file.purpose](file, signal)) {
      // A text is cut where a row ends, save rows that are greater than a part.
      pending += chunk.text;
      pendingRows += chunk.rows;
      if (pending.length >= partBytes / 2 && !(await flush(chunk.progress))) return;
      if (signal.aborted) throw signal.reason;
    }
    if ((pending !== '' || part === 0) && !(await flush(1))) return;
    await finish(file, 'ready', { sha256: digest.digest('hex') });
  }

  return async (payload, { attempt, signal }) => {
    const { tenantId, fileId } = payload as { tenantId: string; fileId: string };
    const begun = await sql.begin(async (tx) => {
      const rows = await tx`
        UPDATE platform.file SET status = 'running', progress = 0, row_count = 0, byte_count = 0, part_count = 0
        WHERE tenant_id = ${tenantId} AND id = ${fileId} AND status IN ('queued', 'running') RETURNING id`;
      await tx`DELETE FROM platform.file_part WHERE tenant_id = ${tenantId} AND file_id = ${fileId}`;
      return rows.length > 0;
    });
    const file = begun ? await findFile(tenantId, fileId) : null;
    if (!file) return;
    try {
      await write(file, signal);
    } catch (error) {
      logger.warn({ file: fileId, error: String(error) }, 'a file could not be written');
      if (attempt >= maxAttempts) await finish(file, 'failed', { failure: 'it could not be written; see the log' });
      throw error;
    }
  };
}
