import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { RateLimited } from '../../../gateway/limits/admission.ts';
import { paceStream } from '../../../gateway/limits/pacedStream.ts';

const piece = Buffer.alloc(10_000, 'x');
const refusal = (resetMs: number) => new RateLimited({ allowed: false, limit: 5, remaining: 0, resetMs });

it('pays for what goes through, in whole units of 16 KiB', async () => {
  const paid: number[] = [];
  const toll = { payMore: (units: number) => void paid.push(units) };
  const whole = await buffer(paceStream(Readable.from(Array(10).fill(piece)), toll));
  expect(whole.length).toBe(100_000);
  expect(paid.reduce((sum, units) => sum + units, 0)).toBe(Math.floor(100_000 / 16_384));
});

it('stands still while the rate is spent, and is whole all the same', async () => {
  let [paid, refused] = [0, 0];
  const toll = {
    async payMore(units: number) {
      // Each window lets two through.
      if (paid % 2 === 1 && refused < paid) {
        refused += 1;
        throw refusal(2);
      }
      paid += units;
    },
  };
  expect((await buffer(paceStream(Readable.from(Array(20).fill(piece)), toll))).length).toBe(200_000);
  expect(refused).toBeGreaterThan(2);
  expect(paid).toBe(Math.floor(200_000 / 16_384));
});

it('ends its source when its reader goes, also while it stands still', async () => {
  const source = Readable.from(Array(20).fill(piece));
  const asked = Promise.withResolvers<void>();
  const paced = paceStream(source, {
    payMore() {
      asked.resolve();
      throw refusal(3_600_000);
    },
  });
  paced.resume();
  await asked.promise;
  paced.destroy();
  if (!source.closed) await new Promise((resolve) => source.once('close', resolve));
  expect(source.destroyed).toBe(true);
});

it('fails with its source, and with what paying fails with', async () => {
  const broken = Readable.from(
    (async function* () {
      yield piece;
      throw new Error('the server went away');
    })(),
  );
  await expect(buffer(paceStream(broken, { payMore: () => {} }))).rejects.toThrow('the server went away');
  const unpaid = paceStream(Readable.from(Array(3).fill(piece)), {
    payMore() {
      throw new Error('no bucket');
    },
  });
  await expect(buffer(unpaid)).rejects.toThrow('no bucket');
});
