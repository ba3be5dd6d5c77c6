import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  DriverAdapterError,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm';
import pg from 'pg';
import type { SchemaFile } from './migrationFiles.ts';

/** Runs one migration script; replaces the adapter's own way, which cuts scripts at every semicolon. */
export type ScriptRunner = (query: (sql: string) => Promise<unknown>, script: string) => Promise<void>;

export interface OpenEngine extends AsyncDisposable {
  readonly engine: SchemaEngine;
}

/** What Prisma leaves alone: nothing. */
export const noFilters = { externalTables: [], externalEnums: [] };

/**
 * Opens Prisma's schema engine, compiled to WebAssembly, on a database. One engine at a time per process: its memory is
 * one module instance, freed with the engine.
 */
export async function openSchemaEngine(
  url: string,
  files: readonly SchemaFile[],
  runScript: ScriptRunner,
): Promise<OpenEngine> {
  const wasm = await loadWasm();
  // One connection: the engine's advisory lock belongs to a session.
  const pool = new pg.Pool({
    connectionString: url,
    max: 1,
    idleTimeoutMillis: 0,
    application_name: 'mplp-migrate',
    connectionTimeoutMillis: 10_000,
    options: '-c statement_timeout=0 -c idle_in_transaction_session_timeout=0',
  });
  pool.on('error', () => {});
  try {
    const factory = bindMigrationAwareSqlAdapterFactory(createAdapterFactory(pool, runScript));
    const datamodels = files.map((file): [string, string] => [file.path, file.content]);
    const engine = await wasm.SchemaEngine.new({ datamodels }, () => {}, factory);
    return {
      engine,
      async [Symbol.asyncDispose]() {
        engine.free();
        await pool.end();
      },
    };
  } catch (error) {
    await pool.end();
    throw error;
  }
}

type Wasm = typeof import('@prisma/schema-engine-wasm/schema_engine_bg');
let loaded: Promise<Wasm> | undefined;

/** Instantiated by hand: importing .wasm as a module prints an experimental warning at every migration. */
function loadWasm(): Promise<Wasm> {
  loaded ??= (async () => {
    const glue: Wasm = await import('@prisma/schema-engine-wasm/schema_engine_bg');
    const folder = dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm'));
    const bytes = await readFile(join(folder, 'schema_engine_bg.wasm'));
    // The engine reports a Rust panic through this global before it traps; without it only "unreachable" is left.
    Object.assign(globalThis, {
      PRISMA_WASM_PANIC_REGISTRY: {
        set_message(message: string) {
          process.emitWarning(message, 'SchemaEnginePanic');
        },
      },
    });
    const imports: Record<string, unknown> = { ...glue };
    // The engine never clears the 10 s timer of its lock, which would hold every process that migrates for so long.
    for (const name of Object.keys(imports).filter((key) => key.startsWith('__wbg_setTimeout_'))) {
      imports[name] = (callback: () => void, delayMs: number) => setTimeout(callback, delayMs).unref();
    }
    const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': imports });
    const start = instance.exports['__wbindgen_start'];
    glue.__wbg_set_wasm(instance.exports);
    if (typeof start === 'function') start();
    return glue;
  })();
  return loaded;
}

/** The part of the WebAssembly API used here; Node's types leave it to the DOM's. */
declare const WebAssembly: {
  instantiate(
    bytes: Uint8Array,
    imports: Record<string, Record<string, unknown>>,
  ): Promise<{ instance: { exports: Record<string, unknown> } }>;
};

const charOid = 18;
const charArrayOid = 1002;

function createAdapterFactory(pool: pg.Pool, runScript: ScriptRunner): SqlMigrationAwareDriverAdapterFactory {
  const plainQuery = pool.query.bind(pool);
  // PostgreSQL's catalogue has columns of the one-byte type "char", which the adapter refuses. They are let through
  // under the type of its arrays, which the catalogue queries never return, and named right afterwards.
  Object.assign(pool, {
    async query(config: pg.QueryArrayConfig) {
      const result = await plainQuery(config);
      for (const field of result.fields) if (field.dataTypeID === charOid) field.dataTypeID = charArrayOid;
      return result;
    },
  });
  const inner = new PrismaPg(pool);
  return {
    provider: 'postgres',
    adapterName: inner.adapterName,
    async connect() {
      const adapter = await inner.connect();
      const queryRaw = adapter.queryRaw.bind(adapter);
      return Object.assign(adapter, {
        async queryRaw(query: Parameters<typeof queryRaw>[0]) {
          const result = await queryRaw(query);
          const columnTypes = result.columnTypes.map((type) =>
            type === ColumnTypeEnum.CharacterArray ? ColumnTypeEnum.Character : type,
          );
          return { ...result, columnTypes };
        },
        async executeScript(script: string) {
          await runScript(plainQuery, script).catch((error: unknown) => {
            throw toAdapterError(error);
          });
        },
      });
    },
    async connectToShadowDb() {
      // With a connection string Prisma's shadow database would be the real one.
      throw new Error('shadow databases are not used: prisma/drift.ts makes its own scratch database');
    },
  };
}

function toAdapterError(error: unknown): unknown {
  if (!(error instanceof pg.DatabaseError)) return error;
  return new DriverAdapterError({
    kind: 'postgres',
    code: error.code ?? 'XX000',
    severity: error.severity ?? 'ERROR',
    message: error.message,
    detail: error.detail,
    column: error.column,
    hint: error.hint,
  });
}
