import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createDocuments } from '../../../subgraphs/shared/execution/documents.ts';
import { listenLocally, type RunningPeer } from '../peerServer.ts';
import { buildForeignSchemas } from './subgraphs.ts';

interface Question {
  readonly query?: unknown;
  readonly variables?: Readonly<Record<string, unknown>> | null;
  readonly operationName?: string | null;
}

/**
 * Serves every foreign subgraph at `/<name>`: operations compiled once, rows in memory, bare HTTP. The same process
 * answers all peers that fetch over HTTP, so it should cost them little. Nobody is answered who forwards no Authorization.
 */
export async function start(): Promise<RunningPeer> {
  const documents = new Map(
    [...buildForeignSchemas()].map(([name, schema]) => [`/${name}`, createDocuments({ schema, max: 2_000 })]),
  );

  async function answer(path: string, body: string): Promise<{ status: number; text: string }> {
    const known = documents.get(path);
    if (!known) return { status: 404, text: '{"errors":[{"message":"no such subgraph"}]}' };
    let question: Question;
    try {
      question = JSON.parse(body) as Question;
    } catch {
      return { status: 400, text: '{"errors":[{"message":"expected JSON"}]}' };
    }
    const operation = known.find(String(question.query ?? ''), question.operationName);
    if (!('execute' in operation)) return { status: 400, text: JSON.stringify({ errors: operation }) };
    const result = await operation.execute({ variables: question.variables, contextValue: null });
    return { status: 200, text: JSON.stringify(result) };
  }

  const send = (response: ServerResponse, { status, text }: { status: number; text: string }): void => {
    const bytes = Buffer.from(text);
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length });
    response.end(bytes);
  };

  const server = createServer((request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      // Whoever forwards nothing would be cheaper than the others.
      if (request.headers.authorization === undefined)
        return send(response, {
          status: 401,
          text: '{"errors":[{"message":"expected the Authorization of the caller"}]}',
        });
      return void answer(request.url ?? '/', Buffer.concat(chunks).toString('utf8')).then((made) =>
        send(response, made),
      );
    });
  });
  return listenLocally(server);
}
