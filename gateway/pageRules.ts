import type { FastifyInstance } from 'fastify';

export interface PageRules {
  /** Origins (`https://app.example`) whose pages may ask beside the gateway's own. */
  readonly origins: ReadonlySet<string>;
  readonly production: boolean;
}

/** Answers are data: no page may be made of them, framed around them, or led by them elsewhere. */
const everywhere = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
} as const;

/** Ruru makes workers of blobs and styles as it goes; everything comes from the gateway itself. */
const idePolicy =
  "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws: wss:; frame-ancestors 'none'";

/** A year, as the security guide has it. */
const transportSecurity = 'max-age=31536000; includeSubDomains; preload';

const readable =
  'retry-after, x-correlation-id, x-mplp-cache, x-mplp-consistency, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset';
const sendable =
  'accept, apollo-require-preflight, authorization, content-type, last-event-id, traceparent, x-apollo-operation-name, x-correlation-id, x-mplp-consistency';
const preflightSeconds = 600;

/** Headers that tell browsers what pages may do: with every answer, and answers to preflights of origins on the list. */
export function registerPageRules(app: FastifyInstance, { origins, production }: PageRules): void {
  const usual = { ...everywhere, ...(production ? { 'strict-transport-security': transportSecurity } : {}) };
  const ofIde = { ...usual, 'content-security-policy': idePolicy };
  app.addHook('onRequest', (request, reply, done) => {
    void reply.headers(request.url.startsWith('/ide') ? ofIde : usual);
    // What is answered to one origin is not for another one, though a cache on the way keeps it.
    if (origins.size > 0) void reply.header('vary', 'origin');
    const { origin } = request.headers;
    if (origin === undefined || !origins.has(origin)) {
      done();
      return;
    }
    void reply.headers({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': readable,
    });
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) {
      done();
      return;
    }
    void reply
      .headers({
        'access-control-allow-methods': 'GET, POST',
        'access-control-allow-headers': sendable,
        'access-control-max-age': String(preflightSeconds),
      })
      .code(204)
      .send();
  });
}
