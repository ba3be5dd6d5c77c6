import { createHttpPool, type HttpAnswer } from './httpPool.ts';
import type { Random } from './random.ts';
import { createRequestWriter } from './requests.ts';
import type { Outcome } from './tally.ts';
import type {
  GraphqlCall,
  GraphqlResponse,
  HttpCall,
  Operation,
  RequestOperation,
  ServiceOperation,
} from './workload.ts';

export interface Executor {
  /** Starts one operation; `done` is called once with what came of it. */
  start(operation: Operation, random: Random, done: (outcome: Outcome, acknowledged?: string) => void): void;
  close(): void;
}

export interface ExecutorOptions {
  /** Endpoint of GraphQL calls (`http://host:port/graphql`); plain calls go to the same origin. Absent for service operations. */
  readonly url?: string;
  readonly connections: number;
  readonly timeoutMs: number;
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function judgeGraphql(call: GraphqlCall, answer: HttpAnswer): { outcome: Outcome; response?: GraphqlResponse } {
  let response: GraphqlResponse;
  try {
    response = JSON.parse(answer.body) as GraphqlResponse;
  } catch {
    return { outcome: { errorCode: `HTTP_${answer.status}_NOT_JSON`, detail: answer.body.slice(0, 200) } };
  }
  const [error] = response.errors ?? [];
  if (error && call.acceptErrors !== true) {
    return { outcome: { errorCode: error.extensions?.code ?? `HTTP_${answer.status}`, detail: error.message } };
  }
  if (answer.status !== 200 && call.acceptErrors !== true) {
    return { outcome: { errorCode: `HTTP_${answer.status}`, detail: answer.body.slice(0, 200) } };
  }
  return { outcome: { verdict: call.check(response) }, response };
}

function judge(call: GraphqlCall | HttpCall, answer: HttpAnswer): { outcome: Outcome; acknowledged?: string } {
  try {
    if ('path' in call) return { outcome: { verdict: call.checkBody(answer.body, answer.status) } };
    const { outcome, response } = judgeGraphql(call, answer);
    const acknowledged =
      response && 'verdict' in outcome && outcome.verdict === true ? call.acknowledges?.(response) : undefined;
    return acknowledged === undefined ? { outcome } : { outcome, acknowledged };
  } catch (error) {
    return { outcome: { verdict: `the check threw: ${errorText(error)}` } };
  }
}

function errorCodeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'THREW';
}

/** Runs operations: requests over a pool of connections, service operations by calling them. */
export async function createExecutor(options: ExecutorOptions): Promise<Executor> {
  const url = options.url === undefined ? null : new URL(options.url);
  const target = url && { host: url.hostname, port: Number(url.port || 80), path: `${url.pathname}${url.search}` };
  const pool = target && createHttpPool({ ...target, connections: options.connections, timeoutMs: options.timeoutMs });
  const write = target && createRequestWriter(target);
  await pool?.open();

  function startRequest(
    operation: RequestOperation,
    random: Random,
    done: (outcome: Outcome, acknowledged?: string) => void,
  ): void {
    if (!pool || !write) throw new Error(`operation ${operation.name} makes requests, but the load has no url`);
    const call = operation.next(random);
    pool.send(write(call), (answer, failure) => {
      if (!answer) {
        done({ errorCode: failure ?? 'FAILED' });
        return;
      }
      const judged = judge(call, answer);
      done(judged.outcome, judged.acknowledged);
    });
  }

  function startCall(operation: ServiceOperation, random: Random, done: (outcome: Outcome) => void): void {
    const fail = (error: unknown): void => done({ errorCode: errorCodeOf(error), detail: errorText(error) });
    let result: ReturnType<ServiceOperation['call']>;
    try {
      result = operation.call(random);
    } catch (error) {
      fail(error);
      return;
    }
    if (result instanceof Promise) result.then((verdict) => done({ verdict }), fail);
    else done({ verdict: result });
  }

  return {
    start(operation, random, done) {
      if ('next' in operation) startRequest(operation, random, done);
      else startCall(operation, random, done);
    },
    close: () => pool?.close(),
  };
}
