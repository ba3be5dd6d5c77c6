import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { createHttpPool } from '../load/httpPool.ts';
import { createRequestWriter } from '../load/requests.ts';

/** One object per principal: the bytes of its headers are built once. */
export type Caller = Readonly<{ authorization: string }>;

export interface GraphClientOptions {
  readonly url: string;
  readonly connections: number;
  readonly timeoutMs: number;
}

export interface GraphClient {
  /**
   * Sends an operation. What did not arrive, or was refused as retryable, is sent again, so a mutation needs a key.
   * @throws {Error} when the answer holds errors or user errors, or none came in six attempts
   */
  call(query: string, variables: Readonly<Record<string, unknown>>, caller: Caller): Promise<unknown>;
  /** Operations sent again so far. */
  readonly retries: number;
  close(): void;
}

const userErrors = z.object({
  userErrors: z.array(
    z.object({ code: z.string(), message: z.string(), retryable: z.boolean(), retryAfterMs: z.number().nullable() }),
  ),
});
const answerSchema = z.object({
  data: z.record(z.string(), z.unknown()).nullish(),
  errors: z.array(z.object({ message: z.string(), extensions: z.object({ code: z.string() }).optional() })).optional(),
});

const maxAttempts = 6;

type Outcome = { readonly data: unknown } | { readonly problem: string; readonly retryAfterMs: number | null };

function readAnswer(body: string): Outcome {
  const { data, errors } = answerSchema.parse(JSON.parse(body));
  const [error] = errors ?? [];
  if (error) return { problem: `${error.extensions?.code ?? 'error'}: ${error.message}`, retryAfterMs: null };
  for (const field of Object.values(data ?? {})) {
    const payload = userErrors.safeParse(field);
    const refusal = payload.success ? payload.data.userErrors[0] : undefined;
    if (refusal)
      return {
        problem: `${refusal.code}: ${refusal.message}`,
        retryAfterMs: refusal.retryable ? (refusal.retryAfterMs ?? 100) : null,
      };
  }
  return { data };
}

/** GraphQL over keep-alive HTTP. */
export async function createGraphClient(options: GraphClientOptions): Promise<GraphClient> {
  const { hostname, port, pathname } = new URL(options.url);
  const target = { host: hostname, port: Number(port === '' ? 80 : port), path: pathname };
  const write = createRequestWriter(target);
  const pool = createHttpPool({ ...target, connections: options.connections, timeoutMs: options.timeoutMs });
  await pool.open();
  let retries = 0;

  function attempt(request: string): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      pool.send(request, (answer, failure) => {
        if (!answer) {
          resolve({ problem: failure ?? 'no answer', retryAfterMs: 100 });
          return;
        }
        try {
          resolve(readAnswer(answer.body));
        } catch (cause) {
          reject(new Error(`expected GraphQL, got ${answer.status}: ${answer.body.slice(0, 200)}`, { cause }));
        }
      });
    });
  }

  return {
    async call(query, variables, caller) {
      const request = write({ query, variables, headers: caller, check: () => true });
      for (let attempts = 1; ; attempts += 1) {
        const outcome = await attempt(request);
        if ('data' in outcome) return outcome.data;
        if (outcome.retryAfterMs === null || attempts === maxAttempts) {
          const name = /^\w+ (\w+)/.exec(query)?.[1] ?? 'operation';
          throw new Error(`${name} failed: ${outcome.problem}`);
        }
        retries += 1;
        await sleep(outcome.retryAfterMs * 2 ** (attempts - 1));
      }
    },
    get retries() {
      return retries;
    },
    close: () => pool.close(),
  };
}
