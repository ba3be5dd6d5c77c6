import type { PreparedDatabase } from './database.ts';
import { type ClientProcesses, keepClientProcesses } from './load/clientProcesses.ts';
import type { ServerStart } from './scenario.ts';
import type { RunningServer } from './serverProcess.ts';

/**
 * Databases, servers and client processes that scenarios of a smoke run use one after the other: a start is three seconds of a core, of
 * which a scenario of a second needs none of its own. A measured run has no shelf: what ran before would be measured.
 */
export interface ServerShelf {
  database(
    name: string,
    prepare: () => Promise<{ database: PreparedDatabase; drop(): Promise<void> }>,
  ): Promise<PreparedDatabase>;
  /** One that was started alike and still runs; to stop it is to give it back. */
  server(start: ServerStart, launch: () => Promise<RunningServer>): Promise<RunningServer>;
  readonly clients: ClientProcesses;
  /** Stops clients and servers, then drops the databases. */
  close(): Promise<void>;
}

export function createServerShelf(): ServerShelf {
  const databases = new Map<string, { database: PreparedDatabase; drop(): Promise<void> }>();
  const servers = new Map<string, RunningServer>();
  const clients = keepClientProcesses();
  return {
    clients,
    async database(name, prepare) {
      const known = databases.get(name) ?? (await prepare());
      databases.set(name, known);
      return known.database;
    },
    async server({ database, ...start }, launch) {
      const key = JSON.stringify([start.entry?.href, start.readyPath, start.commitClock, database?.url, start.env]);
      const known = servers.get(key);
      const server = known?.running() ? known : await launch();
      servers.set(key, server);
      return { ...server, stop: () => Promise.resolve() };
    },
    async close() {
      await clients.close();
      await Promise.all([...servers.values()].map((server) => server.stop()));
      await Promise.all([...databases.values()].map(({ drop }) => drop()));
    },
  };
}
