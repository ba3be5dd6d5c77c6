import { startEmbeddedPostgres, startTemporaryPostgres } from '../prisma/embedded.ts';

/** A PostgreSQL server on which databases may be made. */
export interface Cluster {
  readonly adminUrl: string;
  /** Undefined where the server runs elsewhere: its CPU is then not reported. */
  readonly postmasterPid: number | undefined;
  close(): Promise<void>;
}

/**
 * Opens the server given, or an embedded one whose data stay in `dataDir` between runs. One that is `volatile` syncs
 * nothing and is gone with the run: for answers, never for figures.
 */
export async function openCluster(options: {
  readonly databaseUrl?: string | undefined;
  readonly dataDir: string;
  readonly volatile: boolean;
}): Promise<Cluster> {
  if (options.databaseUrl !== undefined) {
    return { adminUrl: options.databaseUrl, postmasterPid: undefined, close: async () => {} };
  }
  const server = options.volatile
    ? await startTemporaryPostgres({ volatile: true })
    : await startEmbeddedPostgres({ dataDir: options.dataDir });
  return { adminUrl: server.url, postmasterPid: server.pid, close: () => server.stop() };
}
