import { type Readable, Transform } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { PlatformError } from './errors.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Its handler reads the body by itself, once it knows the caller. */
    streamsBody?: boolean;
  }
}

export interface BodyGateOptions {
  /** What everybody may send, bytes. */
  readonly maxBodyBytes: number;
  /** @throws {UNAUTHENTICATED} where nobody known asks. */
  readonly authenticate: (request: FastifyRequest) => unknown;
}

/**
 * Bodies over the usual limit are for who is known by the headers: of anybody else's no more than that is read, and none of a
 * body that announces more. How much larger a body may be is for its parser to say.
 */
export function registerBodyGate(app: FastifyInstance, { maxBodyBytes, authenticate }: BodyGateOptions): void {
  const tooLarge = () => new PlatformError('BODY_TOO_LARGE', `expected a body of at most ${maxBodyBytes} bytes`);

  async function isKnown(request: FastifyRequest): Promise<boolean> {
    try {
      await authenticate(request);
      return true;
    } catch (error) {
      if (error instanceof PlatformError && error.code === 'UNAUTHENTICATED') return false;
      throw error;
    }
  }

  app.addHook('preParsing', (request, _reply, payload, done) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
    const isUsual = length === undefined ? encoding === undefined : Number(length) <= maxBodyBytes;
    if (isUsual || request.routeOptions.config.streamsBody === true) {
      done(null, payload);
      return;
    }
    if (length === undefined) done(null, held(payload as Readable));
    else
      isKnown(request).then(
        (known) => (known ? done(null, payload) : done(tooLarge())),
        (error: unknown) => done(error as Error),
      );

    /** Of a body that does not say how long it is nobody is asked before it is too long. */
    function held(body: Readable): Transform {
      let bytes = 0;
      let isFree = false;
      const through = new Transform({
        transform(chunk: Buffer, _encoding, next) {
          bytes += chunk.length;
          if (isFree || bytes <= maxBodyBytes) return next(null, chunk);
          isKnown(request).then((known) => {
            isFree = known;
            if (known) next(null, chunk);
            else next(tooLarge());
          }, next);
        },
      });
      // What still comes is dropped, so that its sender gets to read the answer.
      through.once('close', () => body.resume());
      body.once('error', (error) => through.destroy(error));
      body.once('close', () => {
        if (!body.readableEnded) through.destroy(new PlatformError('BAD_REQUEST', 'the body ended early'));
      });
      return body.pipe(through);
    }
  });
}
