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
  readonly signal?: AbortSignal;
  /** What the caller says it has written before, perhaps elsewhere: answers from memory have to know it. */
  readonly consistencyToken?: string;
  /** Cache tags of every row read so far. */
  readonly readTags: Set<string>;
  /** What this request has written so far. */
  readonly written: Invalidation[];
  /** Loaders live as long as the request; a subgraph asked several times in it shares them. */
  readonly moduleContexts: Map<string, unknown>;
}

export interface RequestScopeInput {
  readonly principal: Principal;
  readonly correlationId: string;
  readonly traceparent: string;
  readonly signal?: AbortSignal | undefined;
  readonly consistencyToken?: string | undefined;
}

export function createRequestScope(input: RequestScopeInput): RequestScope {
  return {
    principal: input.principal,
    correlationId: input.correlationId,
    traceparent: input.traceparent,
    ...(input.signal === undefined ? {} : { signal: input.signal }),
    ...(input.consistencyToken === undefined ? {} : { consistencyToken: input.consistencyToken }),
    readTags: new Set(),
    written: [],
    moduleContexts: new Map(),
  };
}

/** What a resolver of a module sees: the request, the module's service and its loaders. */
export interface ModuleContext<Service, Loaders> {
  readonly scope: RequestScope;
  readonly principal: Principal;
  readonly service: Service;
  readonly loaders: Loaders;
}
