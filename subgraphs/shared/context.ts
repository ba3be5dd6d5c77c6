import type { Principal } from './principal.ts';

/** What a write made stale, so that its author can read it back from any instance. */
export interface Invalidation {
  readonly eventId: string;
  readonly tags: readonly string[];
}

/**
 * Read tag of an answer that another subject of the tenant might see otherwise: it may not be kept for all of them,
 * whatever other tags it bears.
 */
export const subjectBoundTag = 'subject-bound';

/** One request at the gateway (or one event at the hub): everything the subgraphs it touches have in common. */
export interface RequestScope {
  readonly principal: Principal;
  readonly correlationId: string;
  /** W3C trace context of the caller or of our own making. */
  readonly traceparent: string;
  /** Aborted when the client goes away or the deadline passes. */
  readonly signal?: AbortSignal | undefined;
  /** What the caller says it has written before, perhaps elsewhere: answers from memory have to know it. */
  readonly consistencyToken?: string | undefined;
  /** Cache tags of every row read so far. */
  readonly readTags: Set<string>;
  /** What this request has written so far. */
  readonly written: Invalidation[];
  /** Loaders live as long as the request; a subgraph asked several times in it shares them. */
  readonly moduleContexts: Map<string, unknown>;
}

/** A value, or what makes it: most requests are answered before anybody asks for what they could be traced or given up by. */
export type Lazy<Value> = Value | (() => Value);

export interface RequestScopeInput {
  readonly principal: Principal;
  readonly correlationId: Lazy<string>;
  readonly traceparent: Lazy<string>;
  readonly signal?: Lazy<AbortSignal> | undefined;
  readonly consistencyToken?: string | undefined;
}

class Scope implements RequestScope {
  readonly principal: Principal;
  readonly consistencyToken?: string | undefined;
  readonly readTags = new Set<string>();
  readonly written: Invalidation[] = [];
  readonly moduleContexts = new Map<string, unknown>();
  #correlationId: Lazy<string>;
  #traceparent: Lazy<string>;
  #signal: Lazy<AbortSignal> | undefined;

  constructor(input: RequestScopeInput) {
    this.principal = input.principal;
    this.consistencyToken = input.consistencyToken;
    this.#correlationId = input.correlationId;
    this.#traceparent = input.traceparent;
    this.#signal = input.signal;
  }

  get correlationId(): string {
    if (typeof this.#correlationId === 'function') this.#correlationId = this.#correlationId();
    return this.#correlationId;
  }

  get traceparent(): string {
    if (typeof this.#traceparent === 'function') this.#traceparent = this.#traceparent();
    return this.#traceparent;
  }

  get signal(): AbortSignal | undefined {
    if (typeof this.#signal === 'function') this.#signal = this.#signal();
    return this.#signal;
  }
}

export function createRequestScope(input: RequestScopeInput): RequestScope {
  return new Scope(input);
}

/** What a resolver of a module sees: the request, the module's service and its loaders. */
export interface ModuleContext<Service, Loaders> {
  readonly scope: RequestScope;
  readonly principal: Principal;
  readonly service: Service;
  readonly loaders: Loaders;
}
