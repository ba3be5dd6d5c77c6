import type { Principal } from './principal.ts';

export interface GraphResult<Data> {
  readonly data: Data | null;
  readonly errors: readonly {
    readonly message: string;
    readonly path?: readonly (string | number)[];
    readonly code: string;
  }[];
}

/** The whole graph, asked as a principal: how a module reads or changes what belongs to another. */
export interface Graph {
  execute<Data = Record<string, unknown>>(
    document: string,
    variables: Readonly<Record<string, unknown>>,
    principal: Principal,
    signal?: AbortSignal,
    /** W3C trace that what is asked goes on with, and with it the events of what it changes. @default one of its own */
    traceparent?: string,
  ): Promise<GraphResult<Data>>;
  /**
   * Asks a query for the sake of the caches alone: its answer is kept as one to a client that names no operation, and what
   * is told of it are its errors. @default `execute`, where that asks as a client does
   */
  warm?(
    document: string,
    variables: Readonly<Record<string, unknown>>,
    principal: Principal,
    signal?: AbortSignal,
  ): Promise<GraphResult<unknown>>;
}

/** The gateway is built over the subgraphs that need it: they hold this, and it is connected once the gateway stands. */
export function createLateGraph(): Graph & { connect(graph: Graph): void } {
  let target: Graph | null = null;
  return {
    connect(graph) {
      target = graph;
    },
    execute(document, variables, principal, signal, traceparent) {
      if (!target) return Promise.reject(new Error('the graph is not connected yet'));
      return target.execute(document, variables, principal, signal, traceparent);
    },
    warm(document, variables, principal, signal) {
      if (!target) return Promise.reject(new Error('the graph is not connected yet'));
      return (target.warm ?? target.execute)(document, variables, principal, signal);
    },
  };
}
