import { createServer } from 'node:http';
import { createVerifier } from '../authentication.ts';
import { listenLocally, type StartPeer } from '../peerServer.ts';

/** The ceiling: Node's HTTP server with answers that were there before. It reads the body, and executes nothing. */
export const start: StartPeer = async ({ answers, authentication }) => {
  const known = new Map(answers.map(([body, answer]) => [body, Buffer.from(answer)]));
  const verifier = createVerifier(authentication);
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      try {
        await verifier.verify(request.headers.authorization);
      } catch {
        response.writeHead(401, { 'content-length': 0 }).end();
        return;
      }
      const answer = known.get(Buffer.concat(chunks).toString('utf8'));
      if (!answer) {
        response.writeHead(404, { 'content-length': 0 }).end();
        return;
      }
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length }).end(answer);
    });
  });
  const running = await listenLocally(server);
  return {
    port: running.port,
    async close() {
      await running.close();
      verifier.close();
    },
  };
};
