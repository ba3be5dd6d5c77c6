import type { Readable } from 'node:stream';
import type { SubgraphName } from '../../names.ts';
import { type Authorizer, reachOf, requireStepUp } from '../auth.ts';
import type { RequestScope } from '../context.ts';
import { PlatformError } from '../errors.ts';
import { appendChange } from '../outbox.ts';
import type { Sql } from '../sql.ts';
import { type CopyConnection, openCopyConnection } from './copyStream.ts';
import { createCsvLines } from './csvLines.ts';
import type { ExportEntity } from './exportEntity.ts';
import { type ExportFormat, type ExportQuery, readExportQuery } from './exportQuery.ts';
import { copyStatement, selectRows } from './exportStatement.ts';
import { createParquet, isWide } from './parquetRows.ts';

/** HTTP trailer that says how many rows were sent: only an export that came to its end has one. */
export const rowsTrailer = 'x-mplp-rows';

/** An export under way. */
export interface RunningExport {
  readonly stream: Readable;
  readonly mediaType: string;
  /** How many rows the planner expects: what progress is a part of. */
  readonly estimatedRows: number;
  /** The end of what is exported, epoch ms: whoever goes on after a break names it again. */
  readonly to: number;
  /** Rows that were sent; known once the stream has ended. */
  rowCount(): number;
}

/** Opens exports of the modules of a process. */
export interface ModuleExports {
  /**
   * Begins to hand over the rows of an entity that the caller may see. Destroying the stream ends the statement.
   * @throws {NOT_ROUTED} {VALIDATION_FAILED} {CURSOR_INVALID} {PERMISSION_DENIED} {STEP_UP_REQUIRED}
   * {QUOTA_EXCEEDED} while two exports of the tenant run, {UNAVAILABLE} while eight of the process do
   */
  open(path: ExportPath, parameters: unknown, scope: RequestScope): Promise<RunningExport>;
}

export interface ExportPath {
  readonly module: string;
  readonly entity: string;
}

/** Where a module's exports come from. */
export interface ExportingModule {
  readonly entities: readonly ExportEntity[];
  readonly databaseUrl: string;
  readonly sql: Sql;
}

const perTenant = 2;
const perProcess = 8;
const maxMs = 3_600_000;

const mediaTypes: Readonly<Record<ExportFormat, string>> = {
  copy: 'text/tab-separated-values; charset=utf-8',
  binary: 'application/octet-stream',
  ndjson: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
  parquet: 'application/vnd.apache.parquet',
};

export function createModuleExports(options: {
  readonly modules: ReadonlyMap<SubgraphName, ExportingModule>;
  readonly authorizer: Authorizer;
}): ModuleExports & { close(): Promise<void> } {
  const { modules, authorizer } = options;
  const running = new Map<CopyConnection, string>();

  function requirePlace(tenantId: string): void {
    const ofTenant = [...running.values()].filter((each) => each === tenantId).length;
    if (ofTenant >= perTenant)
      throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${perTenant} exports of a tenant at a time`);
    if (running.size >= perProcess) throw new PlatformError('UNAVAILABLE', 'too many exports run at the moment');
  }

  async function begin(
    connection: CopyConnection,
    { entity, query, scope }: { entity: ExportEntity; query: ExportQuery; scope: RequestScope },
  ): Promise<RunningExport> {
    const { format, to } = query;
    const { principal } = scope;
    const select = selectRows(entity, principal, query);
    const estimatedRows = await connection.estimate(select);
    const common = { mediaType: mediaTypes[format], estimatedRows, to };
    if (format === 'parquet') {
      const described = await connection.describe(select);
      const wide = new Set(described.filter(isWide).map(({ name }) => name));
      const exact = selectRows(entity, principal, query, wide);
      const { stream, rowCount } = await connection.copy(copyStatement(exact, 'ndjson'));
      return { ...common, rowCount, stream: joined(stream, createParquet(stream, described)) };
    }
    const { stream, rowCount } = await connection.copy(copyStatement(select, format));
    return { ...common, rowCount, stream: format === 'csv' ? joined(stream, stream.pipe(createCsvLines())) : stream };
  }

  return {
    async open(path, parameters, scope) {
      const module = modules.get(path.module as SubgraphName);
      const entity = module?.entities.find(({ name }) => name === path.entity);
      if (!module || !entity) throw new PlatformError('NOT_ROUTED', 'no such export');
      const { principal } = scope;
      // Asked first: the rules of places know only what the authorizer was asked about.
      await reachOf(authorizer, principal, entity.requires);
      const query = readExportQuery(entity, parameters);
      selectRows(entity, principal, query);
      if (entity.needsStepUp) requireStepUp(principal);
      requirePlace(principal.tenantId);
      const { sql } = module;
      const connection = await openCopyConnection({
        url: module.databaseUrl,
        terminate: async (pid) => void (await sql`SELECT pg_terminate_backend(${pid})`),
      });
      running.set(connection, principal.tenantId);
      const end = () => {
        running.delete(connection);
        void connection.close();
      };
      try {
        requireStillWanted(scope);
        await sql.begin(async (tx) => {
          await appendChange(tx, path.module as SubgraphName, [
            {
              tenantId: principal.tenantId,
              actor: principal.subject,
              traceparent: scope.traceparent,
              events: [],
              audit: [
                {
                  action: 'bulk.export.started',
                  resource: 'BulkExport',
                  resourceId: `${path.module}/${path.entity}`,
                  detail: { ...query, from: query.from === null ? null : new Date(query.from), to: new Date(query.to) },
                },
              ],
            },
          ]);
        });
        const begun = await begin(connection, { entity, query, scope });
        const { stream } = begun;
        const timer = setTimeout(
          () => stream.destroy(new PlatformError('DEADLINE_EXCEEDED', 'an export runs for an hour at most')),
          maxMs,
        ).unref();
        stream.once('close', () => {
          clearTimeout(timer);
          end();
        });
        const abort = () => stream.destroy();
        scope.signal?.addEventListener('abort', abort, { once: true });
        if (scope.signal?.aborted) abort();
        return begun;
      } catch (error) {
        end();
        throw error;
      }
    },
    async close() {
      await Promise.all([...running.keys()].map((connection) => connection.close()));
    },
  };
}

function requireStillWanted({ signal }: RequestScope): void {
  if (signal?.aborted) throw new PlatformError('DEADLINE_EXCEEDED', 'the client has gone');
}

/** What is made of a stream ends with it, and ends it. */
function joined(source: Readable, made: Readable): Readable {
  source.once('error', (error) => made.destroy(error));
  source.once('close', () => {
    if (!source.readableEnded) made.destroy(new Error('the copy was broken off'));
  });
  made.once('close', () => source.destroy());
  return made;
}
