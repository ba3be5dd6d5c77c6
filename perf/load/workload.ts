import type { Random } from './random.ts';

/** True, or what is wrong with the answer. */
export type Verdict = true | string;

export interface GraphqlResponse {
  readonly data?: unknown;
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[];
}

export interface GraphqlCall {
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>>;
  readonly operationName?: string;
  /** Reuse one object for equal headers: its bytes are then built once. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Judges the answer. Errors in it are counted by their code before, and this is not asked, unless `acceptErrors`. */
  check(response: GraphqlResponse): Verdict;
  readonly acceptErrors?: boolean;
  /** Names what the answer acknowledged, so that subscribers' receive times can be compared with it. */
  acknowledges?(response: GraphqlResponse): string | undefined;
}

export interface HttpCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  checkBody(body: string, status: number): Verdict;
}

interface Named {
  readonly name: string;
  /** Share of the mix, relative to the other operations'. */
  readonly weight: number;
}

/** An operation through the gateway. */
export interface RequestOperation extends Named {
  next(random: Random): GraphqlCall | HttpCall;
}

/** An operation at the service boundary: called in the worker's own process. What it throws counts as an error. */
export interface ServiceOperation extends Named {
  call(random: Random): Promise<Verdict> | Verdict;
}

export type Operation = RequestOperation | ServiceOperation;

export interface Workload {
  readonly operations: readonly Operation[];
  /** Called as the window opens, after the warm-up: what a workload times by itself begins here, as all other times do. */
  windowOpens?(): void;
  /** Read once the answers are in: what only this process knows, a cache's hit ratio. That of worker 0 is reported. */
  facts?(): Readonly<Record<string, number>>;
  close?(): Promise<void> | void;
}

export interface WorkloadContext {
  readonly seed: number;
  /** 0 .. workers - 1, when the load is shared by several processes. */
  readonly worker: number;
  readonly workers: number;
  readonly random: Random;
}

/** What a workload module exports as `createWorkload`. It runs in the clients' process; `params` is plain data. */
export type CreateWorkload<Params> = (params: Params, context: WorkloadContext) => Promise<Workload> | Workload;

export interface SubscriptionStart {
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>>;
  readonly operationName?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly connectionParams?: Readonly<Record<string, unknown>>;
}

export interface ReceivedEvent {
  /** What `acknowledges` of the sender named; absent for events nobody sent in this run. */
  readonly key?: string;
  readonly stream: string;
  /** Gap-free within the stream. */
  readonly sequence: number;
  /** Of the event: by it the server's own clock tells when its COMMIT returned. */
  readonly cursor?: string;
  /** Epoch ms at which the writing transaction began. */
  readonly createdAtMs?: number;
}

export interface SubscriptionWorkload {
  /** What socket number `index` subscribes to. */
  start(index: number): SubscriptionStart;
  /** Reads one `next` payload; null for what carries no sequence (typing, presence). */
  read(response: GraphqlResponse): ReceivedEvent | null;
  close?(): Promise<void> | void;
}

/** What a subscription module exports as `createSubscriptions`. */
export type CreateSubscriptions<Params> = (
  params: Params,
  context: WorkloadContext,
) => Promise<SubscriptionWorkload> | SubscriptionWorkload;

/** Follows `path` into the data; undefined where it ends. */
export function readPath(value: unknown, ...path: readonly (string | number)[]): unknown {
  let current = value;
  for (const part of path) {
    if (current === null || typeof current !== 'object') return undefined;
    current = (current as Record<string | number, unknown>)[part];
  }
  return current;
}

/** The verdict on a mutation whose payload stands at data.`field`: wrong when it carries user errors. */
export function withoutUserErrors(response: GraphqlResponse, field: string): Verdict {
  const payload = readPath(response.data, field);
  if (payload === null || payload === undefined) return `expected data.${field}, got ${JSON.stringify(payload)}`;
  const errors = readPath(payload, 'userErrors');
  return Array.isArray(errors) && errors.length > 0 ? `user errors: ${JSON.stringify(errors).slice(0, 300)}` : true;
}
