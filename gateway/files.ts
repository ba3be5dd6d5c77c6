import { Readable } from 'node:stream';
import type { ApolloServer } from '@apollo/server';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, errorTable, PlatformError } from '#shared/errors.ts';
import type { GatewayContext } from './context.ts';
import { executeOperation } from './graph.ts';

/** What every download asks the graph, part by part. */
export const fileDocument = `query FileContent($id: ID!, $part: Int!) {
  fileContent(id: $id, part: $part) { base64 file { name mediaType byteCount partCount sha256 } }
}`;

interface Content {
  readonly base64: string;
  readonly file: {
    readonly name: string;
    readonly mediaType: string;
    readonly byteCount: number;
    readonly partCount: number;
    readonly sha256: string;
  };
}

export interface FilesOptions {
  readonly apollo: ApolloServer<GatewayContext>;
  readonly createContext: (request: FastifyRequest, reply: FastifyReply) => Promise<GatewayContext> | GatewayContext;
}

/** Downloads of exports and reports: the graph decides who may, for each part anew. */
export function registerFiles(app: FastifyInstance, { apollo, createContext }: FilesOptions): void {
  app.get<{ Params: { id: string } }>('/v1/files/:id', async (request, reply) => {
    const context = await createContext(request, reply);
    const read = async (part: number): Promise<Content> => {
      const variables = { id: request.params.id, part };
      const { data, errors } = await executeOperation(apollo, { query: fileDocument, variables }, context);
      const [failure] = errors ?? [];
      if (failure) {
        const code = String(failure.extensions?.['code']);
        throw new PlatformError(code in errorTable ? (code as ErrorCode) : 'INTERNAL_ERROR', failure.message);
      }
      const content = (data as { fileContent: Content | null } | null | undefined)?.fileContent;
      if (!content) throw new PlatformError('NOT_FOUND', 'no such file');
      return content;
    };
    const first = await read(0);
    const { name, mediaType, byteCount, partCount, sha256 } = first.file;
    async function* parts(): AsyncGenerator<Buffer> {
      yield Buffer.from(first.base64, 'base64');
      for (let part = 1; part < partCount; part += 1) yield Buffer.from((await read(part)).base64, 'base64');
    }
    void reply.headers({
      'content-type': mediaType,
      'content-length': String(byteCount),
      'content-disposition': `attachment; filename="${name.replaceAll(/[^\w.-]/g, '_')}"`,
      etag: `"${sha256}"`,
      'cache-control': 'private, no-store',
      'x-content-type-options': 'nosniff',
    });
    return reply.send(Readable.from(parts()));
  });
}
