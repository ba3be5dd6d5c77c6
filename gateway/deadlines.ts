import type { GatewayExecutor, GatewayInterface } from '@apollo/server-gateway-interface';
import { type ExecutionResult, GraphQLError, OperationTypeNode } from 'graphql';
import { runCancellable } from '#shared/cancellation.ts';
import { PlatformError } from '#shared/errors.ts';
import type { GatewayContext } from './context.ts';

interface Entry {
  readonly dueMs: number;
  /** Null once the answer is there. */
  pass: (() => void) | null;
}

export interface Deadlines {
  /** From here on the time of a query runs, whatever it waits for before it is executed. @default from its execution on */
  begin(context: GatewayContext): void;
  /** What others wait for as well, or null once the time of this one's is over; it goes on for them. */
  wait<Value>(context: GatewayContext, pending: Promise<Value>): Promise<Value | null>;
  /**
   * The result of a query, or DEADLINE_EXCEEDED in its place when that is not there in time. Its statements are cancelled
   * then, as when `context.cancellation` is because the client has gone. Mutations are not for this: they are finished,
   * whoever waits for them.
   */
  within<Result extends ExecutionResult | null>(
    context: GatewayContext,
    execute: () => Result | Promise<Result> | null,
  ): Result | Promise<Result> | null;
  close(): void;
}

/** How late a deadline may be noticed, ms. */
const tickMs = 50;

/**
 * Queries that run, in the order they fall due in, which is nearly that in which they began: one timer serves all of them,
 * since a timer for each request costs more than many a request takes.
 */
export function createDeadlines(timeoutMs: number): Deadlines {
  let running: Entry[] = [];

  const timer = setInterval(() => {
    const nowMs = performance.now();
    let over = 0;
    for (const entry of running) {
      if (entry.pass !== null && entry.dueMs > nowMs) break;
      over += 1;
      entry.pass?.();
    }
    if (over > 0) running = running.slice(over);
  }, tickMs);
  timer.unref();

  const late = (): ExecutionResult => ({
    data: null,
    errors: [
      new GraphQLError(`the query took longer than ${timeoutMs} ms`, {
        originalError: new PlatformError('DEADLINE_EXCEEDED', `the query took longer than ${timeoutMs} ms`),
      }),
    ],
  });

  const dueOf = (context: GatewayContext): number => context.dueMs ?? performance.now() + timeoutMs;

  function enqueue(entry: Entry): void {
    let at = running.length;
    // One that has waited falls due before some that began after it.
    while (at > 0 && running[at - 1]!.dueMs > entry.dueMs) at -= 1;
    if (at === running.length) running.push(entry);
    else running.splice(at, 0, entry);
  }

  return {
    begin(context) {
      context.dueMs = performance.now() + timeoutMs;
    },
    wait<Value>(context: GatewayContext, pending: Promise<Value>) {
      return new Promise<Value | null>((resolve, reject) => {
        const entry: Entry = {
          dueMs: dueOf(context),
          pass() {
            entry.pass = null;
            resolve(null);
          },
        };
        enqueue(entry);
        pending.then(
          (value) => {
            entry.pass = null;
            resolve(value);
          },
          (error: unknown) => {
            entry.pass = null;
            reject(error);
          },
        );
      });
    },
    within<Result extends ExecutionResult | null>(
      context: GatewayContext,
      execute: () => Result | Promise<Result> | null,
    ) {
      const dueMs = dueOf(context);
      // All of it went by waiting.
      if (dueMs <= performance.now()) return late() as Result;
      const executed = runCancellable(context.cancellation, execute);
      if (executed === null || !('then' in executed)) return executed;
      return new Promise<Result>((resolve, reject) => {
        const entry: Entry = {
          dueMs,
          pass() {
            entry.pass = null;
            resolve(late() as Result);
            context.cancellation.cancel();
          },
        };
        enqueue(entry);
        executed.then(
          (result) => {
            entry.pass = null;
            resolve(result);
          },
          (error: unknown) => {
            entry.pass = null;
            reject(error);
          },
        );
      });
    },
    close() {
      clearInterval(timer);
    },
  };
}

/** The gateway with a deadline for each query. */
export function withDeadlines(gateway: GatewayInterface, deadlines: Deadlines): GatewayInterface {
  return {
    async load(options) {
      const { executor } = await gateway.load(options);
      if (executor === null) return { executor };
      const bounded: GatewayExecutor = async (request) =>
        request.operation.operation === OperationTypeNode.QUERY
          ? (await deadlines.within(request.context as GatewayContext, () => executor(request)))!
          : executor(request);
      return { executor: bounded };
    },
    onSchemaLoadOrUpdate: (callback) => gateway.onSchemaLoadOrUpdate(callback),
    stop: () => gateway.stop(),
  };
}
