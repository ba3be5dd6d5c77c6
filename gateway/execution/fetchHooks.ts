import type { GraphQLDataSource } from '@apollo/gateway/dist/datasources/types.js';

/** A subgraph's answer as the gateway takes it. */
export type SubgraphResponse = Awaited<ReturnType<GraphQLDataSource['process']>>;

/** One question to one subgraph. */
export interface FetchReport {
  readonly subgraph: string;
  readonly kind: string;
  readonly durationMs: number;
  readonly errors: number;
}

/** What a data source tells of its fetches. */
export interface FetchHooks<Context> {
  readonly onFetch?: ((report: FetchReport) => void) | undefined;
  /** Called when an answer carries `extensions`. */
  readonly onExtensions?: ((context: Context, extensions: Readonly<Record<string, unknown>>) => void) | undefined;
}
