import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createSql, type Sql } from '#shared/sql.ts';
import { runAdmin } from '../prisma/scratch.ts';
import type { Cluster } from './cluster.ts';
import type { SeedOptions } from './scenario.ts';

export interface PreparedDatabase {
  readonly url: string;
  /** Pid of the PostgreSQL server when it runs on this machine, for its CPU. */
  readonly postmasterPid: number | undefined;
}

export interface DatabaseFactory {
  /** @throws {Error} when the seed or a migration fails */
  prepare(seed: SeedOptions | undefined): Promise<{ database: PreparedDatabase; drop(): Promise<void> }>;
}

export interface DatabaseFactoryOptions {
  readonly cluster: Cluster;
  /** Brings an empty database to the newest migration. */
  readonly migrate: (url: string) => Promise<void>;
  readonly log: (text: string) => void;
}

/** Changes when a migration is added or changed: cached data sets of before are then not used. */
function migrationsDigest(): string {
  const folder = fileURLToPath(new URL('../prisma/migrations/', import.meta.url));
  const hash = createHash('sha256');
  if (existsSync(folder)) {
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
      if (name.endsWith('.sql')) hash.update(name).update(readFileSync(`${folder}${name}`));
    }
  }
  return hash.digest('hex').slice(0, 12);
}

function withDatabase(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** Names come from seeds and counters; checked all the same, since they stand in statements. */
function checkName(name: string): string {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(name))
    throw new Error(`expected a database name of a-z, 0-9 and _, got ${JSON.stringify(name)}`);
  return name;
}

/** Keeps seeded databases as templates and hands out copies: each scenario begins from the same rows. */
export function createDatabaseFactory(options: DatabaseFactoryOptions): DatabaseFactory {
  const { cluster, log } = options;
  let runs = 0;
  /** Two scenarios that run beside each other may ask for the same. */
  const making = new Map<string, Promise<void>>();

  async function withAdmin<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const sql = createSql(cluster.adminUrl, { max: 1, applicationName: 'perf-admin', statementTimeoutMs: 600_000 });
    try {
      return await work(sql);
    } finally {
      await sql.end();
    }
  }

  const drop = (name: string): Promise<void> =>
    runAdmin(cluster.adminUrl, `DROP DATABASE IF EXISTS ${checkName(name)} WITH (FORCE)`);

  /** Today's: the server that migrates it makes the partitions of these days. */
  const emptyTemplate = (): string => `perf_seed_empty_${migrationsDigest()}_${Math.floor(Date.now() / 86_400_000)}`;

  const exists = (name: string): Promise<boolean> =>
    withAdmin(async (sql) => (await sql`SELECT 1 FROM pg_database WHERE datname = ${name}`).length > 0);

  async function ensure(seed: SeedOptions | undefined, template: string, family: string): Promise<void> {
    const running = making.get(template);
    if (running !== undefined) return running;
    const made = (async () => {
      if (!(await exists(template))) await build(seed, template, family);
    })();
    making.set(template, made);
    try {
      await made;
    } finally {
      making.delete(template);
    }
  }

  async function build(seed: SeedOptions | undefined, template: string, family: string): Promise<void> {
    const building = `${family}building`;
    const empty = seed === undefined ? null : emptyTemplate();
    if (empty !== null) await ensure(undefined, empty, 'perf_seed_empty_');
    await withAdmin(async (sql) => {
      const stale = await sql<
        { datname: string }[]
      >`SELECT datname FROM pg_database WHERE starts_with(datname, ${family})`;
      for (const { datname } of stale) await drop(datname);
      await sql.unsafe(
        `CREATE DATABASE ${checkName(building)}${empty === null ? '' : ` TEMPLATE ${checkName(empty)} STRATEGY FILE_COPY`}`,
      );
    });
    const url = withDatabase(cluster.adminUrl, building);
    const startedMs = performance.now();
    if (empty === null) await options.migrate(url);
    const sql = createSql(url, { max: 4, applicationName: 'perf-seed', statementTimeoutMs: 1_800_000 });
    try {
      await seed?.load(sql, log);
      await sql.unsafe('VACUUM (ANALYZE)');
    } finally {
      await sql.end();
    }
    // The name is the mark that it is whole: a run that was killed before leaves only the `building` one.
    await withAdmin((admin) => admin.unsafe(`ALTER DATABASE ${building} RENAME TO ${checkName(template)}`));
    log(`data set ${seed?.name ?? 'empty'} built in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
  }

  return {
    async prepare(seed) {
      const family = checkName(`perf_seed_${seed?.name ?? 'empty'}_`);
      const template = seed === undefined ? emptyTemplate() : `${family}v${seed.version}_${migrationsDigest()}`;
      await ensure(seed, template, family);
      runs += 1;
      const name = `perf_run_${process.pid}_${runs}`;
      await withAdmin(async (sql) => {
        await drop(name);
        await sql.unsafe(`CREATE DATABASE ${checkName(name)} TEMPLATE ${checkName(template)} STRATEGY FILE_COPY`);
      });
      return {
        database: { url: withDatabase(cluster.adminUrl, name), postmasterPid: cluster.postmasterPid },
        drop: () => drop(name),
      };
    },
  };
}
