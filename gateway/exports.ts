import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, errorTable, PlatformError } from '#shared/errors.ts';
import { type ModuleExports, type RunningExport, rowsTrailer } from '#shared/exports/moduleExports.ts';
import { type IdentitySigner, identityHeader } from '#shared/identity.ts';
import { exportHeaders } from '../subgraphs/exportDoor.ts';
import type { GatewayContext } from './context.ts';
import { paceStream } from './limits/pacedStream.ts';
import { moduleDisabled } from './moduleGate.ts';

export interface ExportsOptions {
  readonly local: ModuleExports;
  /** Where the modules are that are not here. */
  readonly urls: ReadonlyMap<string, string>;
  readonly isLocal: (module: string) => boolean;
  readonly identity: Pick<IdentitySigner, 'sign'>;
  /** Modules closed to a tenant. */
  readonly closedTo: (tenantId: string) => Promise<ReadonlySet<string>> | ReadonlySet<string>;
}

/** Exports of all modules: of this process, or handed on from the process that serves the module. */
export function createExports({ local, urls, isLocal, identity, closedTo }: ExportsOptions): ModuleExports {
  return {
    async open(path, parameters, scope) {
      if ((await closedTo(scope.principal.tenantId)).has(path.module)) throw moduleDisabled(path.module);
      const url = urls.get(path.module);
      if (isLocal(path.module) || url === undefined) return local.open(path, parameters, scope);
      const { origin } = new URL(url);
      const query = new URLSearchParams(parameters as Record<string, string>);
      // The client of HTTP is loaded only where there is somebody to ask.
      const { request } = await import('undici');
      const answer = await request(`${origin}/export/${encodeURIComponent(path.entity)}?${query}`, {
        headers: { [identityHeader]: identity.sign(scope.principal), traceparent: scope.traceparent },
        // A slow reader is not a silent subgraph.
        bodyTimeout: 0,
        ...(scope.signal === undefined ? {} : { signal: scope.signal }),
      }).catch((error: unknown) => {
        throw new PlatformError('UNAVAILABLE', `the module ${path.module} cannot be reached`, { cause: error });
      });
      if (answer.statusCode !== 200) throw failureOf(await answer.body.json().catch(() => null));
      const { headers, trailers, body } = answer;
      return {
        stream: body,
        mediaType: String(headers['content-type']),
        estimatedRows: Number(headers['x-mplp-estimated-rows']),
        to: Date.parse(String(headers['x-mplp-export-to'])),
        rowCount: () => Number((trailers as Readonly<Record<string, string | undefined>>)[rowsTrailer]),
      } satisfies RunningExport;
    },
  };
}

function failureOf(body: unknown): PlatformError {
  const [error] = (body as { errors?: { message: string; extensions?: { code?: string } }[] } | null)?.errors ?? [];
  const code = error?.extensions?.code ?? '';
  return new PlatformError(
    code in errorTable ? (code as ErrorCode) : 'UNAVAILABLE',
    error?.message ?? 'the export cannot be made',
  );
}

export interface ExportDoorOptions {
  readonly exports: ModuleExports;
  readonly createContext: (request: FastifyRequest, reply: FastifyReply) => Promise<GatewayContext> | GatewayContext;
}

/**
 * `GET /v1/export/<module>/<entity>`: rows as the database hands them over, no faster than they are read and paid for. An answer that
 * ends without its last chunk is not whole; it goes on behind the last row received by `after`.
 */
export function registerExports(app: FastifyInstance, { exports, createContext }: ExportDoorOptions): void {
  app.get<{ Params: { module: string; entity: string } }>('/v1/export/:module/:entity', async (request, reply) => {
    const context = await createContext(request, reply);
    await context.toll?.payEntry();
    const { module, entity } = request.params;
    const running = await exports.open({ module, entity }, request.query, context.scope);
    void reply.headers(exportHeaders(running));
    reply.trailer(rowsTrailer, (_reply, _payload, done) => done(null, String(running.rowCount())));
    return reply.send(context.toll === undefined ? running.stream : paceStream(running.stream, context.toll));
  });
}
