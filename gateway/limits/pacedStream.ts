import { pipeline, type Readable, Transform } from 'node:stream';
import { RateLimited } from './admission.ts';
import type { Toll } from './toll.ts';

/** Bytes of a stream that cost one unit: at its usual rate a subject exports 10 GB a minute. */
const bytesPerUnit = 16_384;

/**
 * The stream, paid for as it goes. Where the rate is spent it stands still until the window ends: what has begun is
 * handed over whole, as slowly as it may be. It begins with whatever was paid before.
 */
export function paceStream(source: Readable, toll: Pick<Toll, 'payMore'>): Readable {
  let unpaidBytes = 0;
  let waiting: NodeJS.Timeout | undefined;

  async function payUntilPaid(units: number): Promise<void> {
    for (;;) {
      try {
        return await toll.payMore(units);
      } catch (error) {
        if (!(error instanceof RateLimited)) throw error;
        await new Promise<void>((resolve) => {
          waiting = setTimeout(resolve, Math.max(1, error.standing.resetMs));
        });
        if (paced.destroyed) return;
      }
    }
  }

  const paced = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      unpaidBytes += chunk.length;
      const units = Math.floor(unpaidBytes / bytesPerUnit);
      if (units === 0) return done(null, chunk);
      unpaidBytes -= units * bytesPerUnit;
      payUntilPaid(units).then(() => done(null, chunk), done);
    },
    destroy(error, done) {
      clearTimeout(waiting);
      done(error);
    },
  });
  // What fails or ends on either side ends the other.
  pipeline(source, paced, () => {});
  return paced;
}
