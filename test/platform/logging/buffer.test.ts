import fc from 'fast-check';
import { expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { createLogBuffer } from '#shared/logs/buffer.ts';
import { readPinoLine } from '#shared/logs/pinoLine.ts';
import type { LogRecord } from '#shared/logs/record.ts';
import { redactJson, redactText } from '#shared/logs/redaction.ts';

function recordOf(level: number, message: string): LogRecord {
  return {
    tenantId: 't',
    id: newId(),
    atMs: 0,
    level,
    message,
    module: 'm',
    operation: null,
    correlationId: null,
    traceId: null,
    spanId: null,
    userId: null,
    metadata: {},
    stack: null,
  };
}

it('keeps the bound, loses nothing of WARN and above, and counts each of what it drops', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(fc.constantFrom(20, 30, 40, 50, 60), fc.constant('take' as const), fc.constant('back' as const)),
        {
          maxLength: 200,
        },
      ),
      (steps) => {
        const buffer = createLogBuffer({ capacity: 5 });
        const out: string[] = [];
        let given = 0;
        let severe = 0;
        for (const step of steps) {
          if (step === 'take') out.push(...buffer.take(3).map((record) => (record as LogRecord).message));
          else if (step === 'back') buffer.putBack(buffer.take(4));
          else {
            buffer.add(recordOf(step, `${step} ${given}`));
            given += 1;
            if (step >= 40) severe += 1;
          }
          expect(buffer.size - 5).toBeLessThanOrEqual(severe);
        }
        out.push(...buffer.take(1_000).map((record) => (record as LogRecord).message));
        expect(out.filter((text) => Number(text.slice(0, 2)) >= 40)).toHaveLength(severe);
        expect(new Set(out).size).toBe(out.length);
        expect(out.length + buffer.dropped).toBe(given);
        for (const isSevere of [true, false]) {
          const order = out
            .filter((text) => Number(text.slice(0, 2)) >= 40 === isSevere)
            .map((text) => Number(text.slice(3)));
          if (!steps.includes('take')) expect(order).toEqual(order.toSorted((one, two) => one - two));
        }
      },
    ),
  );
});

it('reads the lines of pino, level first', () => {
  const buffer = createLogBuffer({ capacity: 1 });
  buffer.line('{"level":30,"time":"2026-01-01T00:00:00.000Z","msg":"one"}');
  buffer.line('{"level":30,"time":"2026-01-01T00:00:00.000Z","msg":"two"}');
  buffer.line('{"level":40,"time":"2026-01-01T00:00:00.000Z","msg":"three"}');
  expect([buffer.size, buffer.dropped]).toEqual([2, 1]);
  expect(readPinoLine(buffer.take(1)[0] as string)).toMatchObject({ level: 40, message: 'three', module: 'process' });
  expect(readPinoLine('no line')).toBeNull();
  expect(
    readPinoLine(
      '{"level":50,"time":"2026-01-01T00:00:00.000Z","module":"plan","tenantId":"t","error":"E: x\\n at y","n":1,"msg":"m"}',
    ),
  ).toMatchObject({
    tenantId: null,
    module: 'plan',
    stack: 'E: x\n at y',
    metadata: { n: 1, tenantId: 't' },
    atMs: Date.UTC(2026, 0, 1),
  });
});

it('blacks out credentials in texts and under names that say so, and leaves the rest', () => {
  const token = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln';
  expect(redactText(`got Bearer abc.def-1 and ${token} of postgres://me:pass@host/db`)).toBe(
    'got [redacted] and [redacted] of postgres://me:[redacted]@host/db',
  );
  expect(
    redactJson({
      password: 'x',
      nested: [{ api_key: 'x', accessToken: 'x', 'x-authorization': 'x', note: token, tokens: 5 }],
      tokenCount: 3,
    }),
  ).toEqual({
    password: '[redacted]',
    nested: [
      {
        api_key: '[redacted]',
        accessToken: '[redacted]',
        'x-authorization': '[redacted]',
        note: '[redacted]',
        tokens: 5,
      },
    ],
    tokenCount: 3,
  });
  expect(redactText('a\0b\ud800c')).toBe('a\ufffdb\ufffdc');
});
