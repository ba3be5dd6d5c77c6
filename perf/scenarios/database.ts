import { randomUUID } from 'node:crypto';
import { createSql } from '#shared/sql.ts';
import type { PreparedDatabase } from '../database.ts';
import { type MeasuredLoad, type Measurement, measurementOf } from '../measurement.ts';
import { boundBy } from '../moduleMix.ts';
import { preparePgbench, runPgbench } from '../pgbench.ts';
import type { PerfEnvironment, Scenario, SeedOptions } from '../scenario.ts';
import { seedContexts } from '../seeds/context.ts';
import { type CopyValue, copyRows } from '../seeds/copyRows.ts';
import { type DialogSeed, seedDialogs } from '../seeds/dialog.ts';
import type { DatabaseReadsParams, ReadOperation } from '../workloads/databaseReads.ts';
import { type DatabaseWritesParams, writtenTopic } from '../workloads/databaseWrites.ts';
import { smokeDialogs } from './dialog.ts';

const row = (name: string): string => `throughput.database_operations.${name}`;
const readsWorkload = new URL('../workloads/databaseReads.ts', import.meta.url);
const pgbenchScale = 10;
const ceilingSeconds = 5;
const group = 64;
const copiedRows = 50_000;

/** What all rows of the database are measured on. */
const fullDialogs: DialogSeed = {
  contexts: 100_000,
  dialogs: 10_000,
  participantsPerDialog: 10,
  subjects: 1_000,
  messages: 1_000_000,
};

function dataSet(environment: PerfEnvironment): { dialogs: DialogSeed; seed: SeedOptions } {
  const dialogs = environment.smoke ? smokeDialogs : fullDialogs;
  return {
    dialogs,
    seed: {
      name: `database${dialogs.contexts}x${dialogs.messages}`,
      version: 1,
      async load(sql, log) {
        await seedContexts(sql, dialogs.contexts, log);
        await seedDialogs(sql, dialogs, log);
      },
    },
  };
}

const rate = (perSecond: number | null): string =>
  perSecond === null ? 'not installed' : `${Math.round(perSecond)}/s`;

/** PostgreSQL's own bench on the same server, in the same run; nothing in a smoke run, which keeps no figure. */
async function pgbenchNote(
  environment: PerfEnvironment,
  database: PreparedDatabase,
  script: 'select-only' | 'tpcb-like',
  clients: number,
): Promise<string[]> {
  if (environment.smoke) return [];
  const isThere = await preparePgbench(database.url, pgbenchScale);
  const tps = isThere ? await runPgbench(database.url, { clients, seconds: ceilingSeconds, script }) : null;
  return [`pgbench ${script}, ${clients} clients, scale ${pgbenchScale}: ${rate(tps)}`];
}

interface ReadVariant {
  readonly variant: string;
  readonly mix: DatabaseReadsParams['mix'];
  readonly grouped?: boolean;
  readonly indexed?: boolean;
}

async function runReads(
  environment: PerfEnvironment,
  database: PreparedDatabase,
  options: ReadVariant & { readonly dialogs: DialogSeed; readonly concurrency: number; readonly seconds: number },
): Promise<MeasuredLoad> {
  const { mix, grouped = false, indexed = false, dialogs, concurrency, seconds } = options;
  const params: DatabaseReadsParams = { databaseUrl: database.url, dialogs, mix, grouped, indexed };
  return environment.load({
    workload: readsWorkload,
    params,
    database,
    arrival: { kind: 'closed', concurrency },
    durationSeconds: seconds,
  });
}

/** A row of reads, each variant with what the bare statement of the same driver reaches beside it. */
async function measureReads(
  environment: PerfEnvironment,
  options: {
    readonly name: string;
    readonly variants: readonly ReadVariant[];
    notes(result: MeasuredLoad): string[];
    readonly statement: string;
  },
): Promise<Measurement[]> {
  const design = environment.design(row(options.name));
  const { dialogs, seed } = dataSet(environment);
  const database = await environment.prepareDatabase(seed);
  const concurrency = design.concurrency!;
  const shared = { dialogs, concurrency };
  const results: { variant: string; result: MeasuredLoad }[] = [];
  for (const variant of options.variants)
    results.push({
      variant: variant.variant,
      result: await runReads(environment, database, { ...variant, ...shared, seconds: design.durationSeconds }),
    });
  const bare = environment.smoke
    ? null
    : await runReads(environment, database, {
        variant: 'bare',
        mix: { bare_statement: 1 },
        ...shared,
        seconds: ceilingSeconds,
      });
  const ceilings = [
    ...(bare ? [`SELECT $1 through the same driver: ${rate(bare.achievedPerSecond)}`] : []),
    ...(await pgbenchNote(environment, database, 'select-only', concurrency)),
  ];
  return results.map(({ variant, result }) =>
    measurementOf(result, {
      row: row(options.name),
      variant,
      achieved: result.achievedPerSecond,
      boundBy: boundBy(result),
      notes: [
        options.statement,
        ...options.notes(result),
        'callers share eight connections and the process, and all of it the machine',
        ...ceilings,
      ],
    }),
  );
}

const mixOf = (environment: PerfEnvironment, name: string) =>
  environment.design(row(name)).mix as Partial<Record<ReadOperation, number>>;
const perOperation = (total: number | undefined, result: MeasuredLoad): string =>
  ((total ?? 0) / Math.max(1, result.started)).toFixed(1);

/** COPY of as many rows into a table like that of the messages: what storing them costs at least. */
async function copyNote(environment: PerfEnvironment, database: PreparedDatabase): Promise<string[]> {
  if (environment.smoke) return [];
  const sql = createSql(database.url, { max: 1, applicationName: 'perf-copy' });
  try {
    await sql.unsafe(
      'CREATE TABLE perf_copy (tenant_id text, id uuid PRIMARY KEY, sequence bigint, text text, created_at timestamptz)',
    );
    const text = 'word '.repeat(40);
    const at = new Date();
    const rows = function* (): Generator<CopyValue[]> {
      for (let n = 0; n < copiedRows; n += 1) yield ['perf', randomUUID(), n, text, at];
    };
    const startedMs = performance.now();
    await copyRows(sql, 'perf_copy', ['tenant_id', 'id', 'sequence', 'text', 'created_at'], rows());
    const perSecond = (copiedRows * 1_000) / (performance.now() - startedMs);
    return [`COPY of ${copiedRows} rows of 200 bytes with one index: ${rate(perSecond)}`];
  } finally {
    await sql.end();
  }
}

async function measureWrites(environment: PerfEnvironment): Promise<Measurement[]> {
  const design = environment.design(row('write_operations'));
  const { dialogs, seed } = dataSet(environment);
  const database = await environment.prepareDatabase(seed);
  const params: DatabaseWritesParams = { databaseUrl: database.url, dialogs, group };
  const result = await environment.load({
    workload: new URL('../workloads/databaseWrites.ts', import.meta.url),
    params,
    database,
    arrival: { kind: 'closed', concurrency: design.concurrency! },
    durationSeconds: design.durationSeconds,
  });
  const sql = createSql(database.url, { max: 1, applicationName: 'perf-count', statementTimeoutMs: 120_000 });
  const [counted] = await sql<{ n: number }[]>`
    SELECT count(*) AS n FROM dialog.message WHERE topic = ${writtenTopic}`.finally(() => sql.end());
  const { acknowledged = 0, transactions = 0 } = result.facts;
  // A row that was committed as the load ended may not have been counted by its caller; none may be lacking.
  const lacking = Math.max(0, acknowledged - counted!.n);
  const measurement = measurementOf(result, {
    row: row('write_operations'),
    variant: 'in groups',
    achieved: result.achievedPerSecond,
    boundBy: boundBy(result),
    notes: [
      'insertMessages of the dialog module: INSERT … SELECT FROM json_to_recordset, with the search vector and all indexes',
      `${(acknowledged / Math.max(1, transactions)).toFixed(1)} rows a transaction, ${Math.round((transactions * result.achievedPerSecond) / Math.max(1, acknowledged))} commits/s; ${counted!.n} rows found durable of ${acknowledged} acknowledged`,
      ...(await copyNote(environment, database)),
      ...(await pgbenchNote(environment, database, 'tpcb-like', design.concurrency!)),
    ],
  });
  return [
    lacking === 0
      ? measurement
      : {
          ...measurement,
          wrong: measurement.wrong + lacking,
          wrongExamples: [`${lacking} acknowledged rows are not there`],
        },
  ];
}

export const scenarios: readonly Scenario[] = [
  {
    rows: [row('read_operations')],
    title: 'contexts by id, at the database',
    run: (environment) =>
      measureReads(environment, {
        name: 'read_operations',
        statement:
          'findContexts of the context module: SELECT of all columns … WHERE tenant_id = $1 AND id = ANY($2), one row',
        variants: [
          { variant: 'one id a statement', mix: mixOf(environment, 'read_operations') },
          { variant: 'as the loader groups them', mix: mixOf(environment, 'read_operations'), grouped: true },
        ],
        notes: () => ['each row is held to the seed'],
      }),
  },
  {
    rows: [row('write_operations')],
    title: 'messages, at the database',
    run: measureWrites,
  },
  {
    rows: [row('complex_queries')],
    title: 'searches, at the database',
    run: (environment) =>
      measureReads(environment, {
        name: 'complex_queries',
        statement:
          'search of the context module: words, filter, rank, a page of 20 by keyset, as an agent that sees what is its own and what is public',
        variants: [
          { variant: 'PostgreSQL alone', mix: mixOf(environment, 'complex_queries') },
          { variant: 'with the index in memory', mix: mixOf(environment, 'complex_queries'), indexed: true },
        ],
        notes: (result) => [`${perOperation(result.facts['rows'], result)} rows on a page`],
      }),
  },
  {
    rows: [row('aggregation_queries')],
    title: 'facets and metrics, at the database',
    alone: true,
    run: (environment) =>
      measureReads(environment, {
        name: 'aggregation_queries',
        statement:
          'facets of the context module over the whole tenant, metrics of the dialog module over all messages of one dialog by Zipf',
        variants: [
          { variant: 'PostgreSQL alone', mix: mixOf(environment, 'aggregation_queries') },
          { variant: 'with the index in memory', mix: mixOf(environment, 'aggregation_queries'), indexed: true },
        ],
        notes: (result) => [
          `${perOperation(result.facts['rows'], result)} rows summed up by an operation`,
          ...['context_facets', 'dialog_metrics'].map(
            (name) => `${name} p95 ${result.operations[name]?.latency.p95Ms.toFixed(0) ?? '-'} ms`,
          ),
        ],
      }),
  },
];
