import { Readable } from 'node:stream';
import type { ApolloServer } from '@apollo/server';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { PlatformError, toExtensions } from '#shared/errors.ts';
import { parseInput, text } from '#shared/validation.ts';
import type { GatewayContext } from './context.ts';
import { executeOperation } from './graph.ts';
import { failureOf, type Importer, importers } from './imports/importers.ts';
import { type ImportLine, readLines } from './imports/lines.ts';
import { readTable } from './imports/tables.ts';

const query = z.strictObject({ importId: text({ min: 1, max: 100 }) });

/** How a body is read, by its media type. */
const readers: Readonly<
  Record<string, (body: AsyncIterable<Buffer>, importer: Importer) => AsyncIterable<ImportLine>>
> = {
  'application/x-ndjson': (body) => readLines(body),
  'text/csv': (body, { jsonFields }) => readTable(body, 'csv', jsonFields),
  'text/tab-separated-values': (body, { jsonFields }) => readTable(body, 'copy', jsonFields),
};

/** Refused lines that one report names; the rest is counted. */
const maxNamed = 100;

export interface ImportsOptions {
  readonly apollo: ApolloServer<GatewayContext>;
  readonly createContext: (request: FastifyRequest, reply: FastifyReply) => Promise<GatewayContext> | GatewayContext;
  /** The context of one chunk, which pays for itself. */
  readonly contextFor: (first: GatewayContext, request: FastifyRequest) => GatewayContext;
}

/**
 * `POST /v1/import/<module>/<entity>?importId=...`: records as lines of JSON, stored chunk by chunk as they arrive, each
 * chunk in one transaction. What became of a chunk is told at once, a line of JSON each. Sent again under the same id, an
 * import stores nothing twice: chunks that were stored answer what they answered before.
 */
export function registerImports(app: FastifyInstance, options: ImportsOptions): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(Object.keys(readers), (_request, payload, done) => done(null, payload));
    scope.addContentTypeParser('*', (request, _payload, done) =>
      done(
        new PlatformError(
          'UNSUPPORTED_MEDIA_TYPE',
          `expected one of ${Object.keys(readers).join(', ')}, got ${String(request.headers['content-type']).slice(0, 100)}`,
        ),
      ),
    );
    const route = { config: { streamsBody: true } };
    scope.post<{ Params: { module: string; entity: string } }>(
      '/v1/import/:module/:entity',
      route,
      async (request, reply) => {
        const context = await options.createContext(request, reply);
        const { module, entity } = request.params;
        const importer = importers.get(`${module}/${entity}`);
        if (!importer) throw new PlatformError('NOT_ROUTED', 'no such import');
        const { importId } = parseInput(query, request.query);
        const body = request.body as Readable | undefined;
        if (!body) throw new PlatformError('BAD_REQUEST', 'expected lines of JSON');
        const store = async (values: readonly unknown[], key: string) => {
          const own = options.contextFor(context, request);
          try {
            return await storeChunk(options.apollo, importer, { values, key }, own);
          } finally {
            // One that failed ends the import: the last one says how it went.
            if (own.ended.outcome) context.ended.outcome = own.ended.outcome;
          }
        };
        // A report of a chunk before all of the body has come: whoever reads none until then still gets them all.
        void reply.type('application/x-ndjson; charset=utf-8').header('cache-control', 'no-store');
        const type = String(request.headers['content-type']).split(';', 1)[0]!.trim().toLowerCase();
        const lines = readers[type]!(body as AsyncIterable<Buffer>, importer);
        return reply.send(Readable.from(importLines(lines, importer, importId, store)));
      },
    );
  });
}

type Store = (values: readonly unknown[], key: string) => Promise<readonly (Refusal | null)[]>;

interface Refusal {
  readonly code: string;
  readonly message: string;
}

async function storeChunk(
  apollo: ApolloServer<GatewayContext>,
  importer: Importer,
  { values, key }: { readonly values: readonly unknown[]; readonly key: string },
  context: GatewayContext,
): Promise<readonly (Refusal | null)[]> {
  const variables = importer.variables(values, key);
  const { data, errors = [] } = await executeOperation(apollo, { query: importer.document, variables }, context);
  const [error] = errors;
  if (error) throw failureOf({ code: String(error.extensions?.['code']), message: error.message });
  return importer.outcomes(data, values.length);
}

/** Reports of an import, as lines. It ends with one that is `done`, or with the `failure` that ended it. */
async function* importLines(
  lines: AsyncIterable<ImportLine>,
  importer: Importer,
  importId: string,
  store: Store,
): AsyncGenerator<string> {
  let chunk: ImportLine[] = [];
  let chunks = 0;
  const sum = { lines: 0, stored: 0, refused: 0 };

  async function flush(): Promise<string> {
    const refusals = new Map<number, Refusal>();
    const sent = chunk.filter((each) => 'value' in each && isObject(each.value)) as { line: number; value: unknown }[];
    for (const each of chunk)
      if ('problem' in each) refusals.set(each.line, { code: 'BAD_REQUEST', message: each.problem });
      else if (!isObject(each.value))
        refusals.set(each.line, { code: 'VALIDATION_FAILED', message: 'expected an object' });
    const values = sent.map(({ value }) => value);
    const outcomes = values.length === 0 ? [] : await store(values, `import:${importId}:${chunks}`);
    for (const [at, outcome] of outcomes.entries()) if (outcome) refusals.set(sent[at]!.line, outcome);
    const [first, last] = [chunk[0]!.line, chunk.at(-1)!.line];
    sum.lines += chunk.length;
    sum.refused += refusals.size;
    sum.stored += chunk.length - refusals.size;
    const errors = [...refusals]
      .sort(([one], [two]) => one - two)
      .slice(0, maxNamed)
      .map(([line, { code, message }]) => ({ line, code, message }));
    const report = { chunk: chunks, first, last, stored: chunk.length - refusals.size, refused: refusals.size, errors };
    chunks += 1;
    chunk = [];
    return `${JSON.stringify(report)}\n`;
  }

  try {
    for await (const line of lines) {
      chunk.push(line);
      if (chunk.length === importer.chunkLines) yield await flush();
    }
    if (chunk.length > 0) yield await flush();
    yield `${JSON.stringify({ done: true, ...sum })}\n`;
  } catch (error) {
    const failure =
      error instanceof PlatformError ? error : new PlatformError('INTERNAL_ERROR', 'an unexpected failure');
    yield `${JSON.stringify({ failure: { ...toExtensions(failure), message: failure.message }, line: chunk[0]?.line ?? null, ...sum })}\n`;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
