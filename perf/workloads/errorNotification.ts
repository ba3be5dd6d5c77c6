import { randomUUID } from 'node:crypto';
import { createHistogram } from '../load/histogram.ts';
import { openSubscription } from '../load/openSubscription.ts';
import { type CreateWorkload, type GraphqlResponse, readPath, type Verdict } from '../load/workload.ts';

export interface ErrorNotificationParams {
  readonly url: string;
  readonly wsUrl: string;
  readonly token: string;
  /** Sockets that follow errors at CRITICAL. */
  readonly subscribers: number;
}

const captureError = `mutation Capture($input: PlatformErrorInput!) {
  captureError(input: $input) { accepted error { id severity correlationId } userErrors { code message } }
}`;
const errorCaptured =
  'subscription Captured { errorCaptured(severities: [CRITICAL]) { id code severity message module correlationId } }';

const criticalShare = 0.25;
const giveUpMs = 5_000;
const fingerprints = 20;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface HeardError {
  readonly severity?: unknown;
  readonly correlationId?: unknown;
}

interface Awaited {
  readonly beganMs: number;
  /** Sockets that have not heard of it. */
  readonly missing: Set<number>;
  readonly resolve: () => void;
}

/**
 * Errors told to the platform, one in four of them critical; those are followed until every socket has them, and no
 * socket may hear of another. The time from sending until a socket has it is in facts, a value for each socket.
 */
export const createWorkload: CreateWorkload<ErrorNotificationParams> = async (params) => {
  const { url, token, subscribers } = params;
  const heardAfter = createHistogram();
  const awaited = new Map<string, Awaited>();
  let strange = '';

  function hear(socket: number, { severity, correlationId }: HeardError): void {
    if (severity !== 'CRITICAL') strange = `a socket that follows CRITICAL heard of ${String(severity)}`;
    const found = awaited.get(String(correlationId));
    if (!found) return;
    if (!found.missing.delete(socket)) strange = 'a socket heard of an error twice';
    heardAfter.record(performance.now() - found.beganMs);
    if (found.missing.size === 0) found.resolve();
  }

  const sockets = await Promise.all(
    Array.from({ length: subscribers }, (_, index) =>
      openSubscription(params, { query: errorCaptured }, (data) =>
        hear(index, (readPath(data, 'errorCaptured') ?? {}) as HeardError),
      ),
    ),
  );
  // Until the last subscription is taken, of which nobody tells.
  await sleep(1_000);

  async function capture(input: Readonly<Record<string, unknown>>): Promise<Verdict> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ query: captureError, variables: { input } }),
    });
    const { data, errors } = (await response.json()) as GraphqlResponse;
    if (readPath(data, 'captureError', 'accepted') !== true)
      return `expected it to be taken, got ${JSON.stringify(errors ?? data).slice(0, 300)}`;
    const severity = readPath(data, 'captureError', 'error', 'severity');
    return severity === input['severity'] || `expected ${String(input['severity'])}, got ${String(severity)}`;
  }

  async function followed(correlationId: string, input: Readonly<Record<string, unknown>>): Promise<Verdict> {
    const everyone = new Promise<'heard'>((resolve) => {
      awaited.set(correlationId, {
        beganMs: performance.now(),
        missing: new Set(sockets.keys()),
        resolve: () => resolve('heard'),
      });
    });
    let late: NodeJS.Timeout | undefined;
    const timeout = new Promise<'late'>((resolve) => {
      late = setTimeout(() => resolve('late'), giveUpMs);
    });
    const verdict = await capture(input);
    const outcome = verdict === true ? await Promise.race([everyone, timeout]) : 'heard';
    clearTimeout(late);
    const missing = awaited.get(correlationId)!.missing.size;
    // Kept a while, so that one that comes twice is noticed.
    setTimeout(() => awaited.delete(correlationId), giveUpMs).unref();
    return outcome === 'late' ? `${missing} sockets had not heard after ${giveUpMs} ms` : verdict;
  }

  return {
    operations: [
      {
        name: 'error_notification',
        weight: 1,
        async call(random): Promise<Verdict> {
          const isCritical = random.next() < criticalShare;
          const correlationId = randomUUID();
          const input = {
            code: 'UNAVAILABLE',
            message: `failure of kind ${'abcdefghijklmnopqrst'[random.integer(fingerprints)]}`,
            module: 'perf',
            severity: isCritical ? 'CRITICAL' : random.pick(['LOW', 'MEDIUM', 'HIGH']),
            correlationId,
          };
          const verdict = isCritical ? await followed(correlationId, input) : await capture(input);
          return strange === '' ? verdict : strange;
        },
      },
    ],
    facts: () => ({ ...heardAfter.summary() }),
    close() {
      for (const socket of sockets) socket.terminate();
    },
  };
};
