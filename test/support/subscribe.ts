import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

export interface Subscription<Payload> {
  readonly payloads: readonly Payload[];
  readonly errors: readonly unknown[];
  /** Resolves when the condition holds for what has arrived; fails after `timeoutMs`. */
  until(condition: (payloads: readonly Payload[]) => boolean, timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

export interface SubscribeOptions {
  /** HTTP address of the platform, or of a proxy before it. */
  readonly url: string;
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>>;
  readonly token?: string;
  /** Called before each connection, so that a retry resumes from what was seen last. */
  readonly variablesFor?: () => Readonly<Record<string, unknown>>;
}

/** Follows one subscription over WebSocket without retries. */
export function subscribe<Payload>(options: SubscribeOptions): Subscription<Payload> {
  const payloads: Payload[] = [];
  const errors: unknown[] = [];
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const check of waiting) check();
  };
  const client = createClient({
    url: `${options.url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    lazy: false,
    onNonLazyError: () => {},
    ...(options.token === undefined ? {} : { connectionParams: { authorization: `Bearer ${options.token}` } }),
  });
  const stop = client.subscribe<Payload>(
    { query: options.query, variables: { ...(options.variablesFor?.() ?? options.variables ?? {}) } },
    {
      next(result) {
        if (result.errors) errors.push(...result.errors);
        if (result.data) payloads.push(result.data);
        wake();
      },
      error(error) {
        errors.push(error);
        wake();
      },
      complete: wake,
    },
  );
  return {
    payloads,
    errors,
    until(condition, timeoutMs = 10_000) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(check);
          reject(
            new Error(
              `not within ${timeoutMs} ms; ${payloads.length} payloads, errors ${JSON.stringify(errors)}: ${JSON.stringify(payloads.slice(-3))}`,
            ),
          );
        }, timeoutMs);
        const check = () => {
          if (!condition(payloads)) return;
          clearTimeout(timer);
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      });
    },
    async close() {
      stop();
      await client.dispose();
    },
  };
}
