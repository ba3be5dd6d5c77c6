import type { FastifyInstance } from 'fastify';
import { createRequestScope, type RequestScope } from '#shared/context.ts';
import { type ModuleExports, type RunningExport, rowsTrailer } from '#shared/exports/moduleExports.ts';
import { identityHeader } from '#shared/identity.ts';
import { newId } from '#shared/ids.ts';
import { continueTrace } from '#shared/telemetry.ts';

/** What an export says of itself before its first row. */
export function exportHeaders({ mediaType, estimatedRows, to }: Omit<RunningExport, 'stream' | 'rowCount'>) {
  return {
    'content-type': mediaType,
    'x-mplp-estimated-rows': String(estimatedRows),
    'x-mplp-export-to': new Date(to).toISOString(),
    'cache-control': 'private, no-store',
    'x-content-type-options': 'nosniff',
  };
}

/** `GET /export/<entity>` of a subgraph in a process of its own: for the gateway, which hands its bytes on. */
export function registerModuleExports(
  app: FastifyInstance,
  options: {
    readonly module: string;
    readonly exports: ModuleExports;
    readonly verify: (header: string | undefined) => RequestScope['principal'];
  },
): void {
  app.get<{ Params: { entity: string } }>('/export/:entity', async (request, reply) => {
    const header = request.headers[identityHeader];
    const principal = options.verify(Array.isArray(header) ? undefined : header);
    const { traceparent } = request.headers;
    const abort = new AbortController();
    reply.raw.once('close', () => abort.abort());
    const scope = createRequestScope({
      principal,
      traceparent: continueTrace(Array.isArray(traceparent) ? undefined : traceparent),
      correlationId: newId(),
      signal: abort.signal,
    });
    const path = { module: options.module, entity: request.params.entity };
    const running = await options.exports.open(path, request.query, scope);
    void reply.headers(exportHeaders(running));
    reply.trailer(rowsTrailer, (_reply, _payload, done) => done(null, String(running.rowCount())));
    return reply.send(running.stream);
  });
}
