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
 * Queries that run, in the order they began, which is the order they fall due in: one timer serves all of them, since a
 * timer for each request costs more than many a request takes.
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

  return {
    within<Result extends ExecutionResult | null>(
      context: GatewayContext,
      execute: () => Result | Promise<Result> | null,
    ) {
      const executed = runCancellable(context.cancellation, execute);
      if (executed === null || !('then' in executed)) return executed;
      return new Promise<Result>((resolve, reject) => {
        const entry: Entry = {
          dueMs: performance.now() + timeoutMs,
          pass() {
            entry.pass = null;
            resolve(late() as Result);
            context.cancellation.cancel();
          },
        };
        running.push(entry);
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
