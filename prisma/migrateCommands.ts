import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { findDrift } from './drift.ts';
import { startTemporaryPostgres } from './embedded.ts';
import { foldersOf, migrate, readStatus, resolveMigration, type SchemaFolders } from './migrate.ts';
import { writeMigration } from './migrationFiles.ts';

const usage = `usage: node prisma/migrate.ts COMMAND [--schema DIR] [--migrations DIR]

  deploy                          applies pending migrations
  status                          lists applied, pending, failed and edited migrations
  check                           ends with 1 when migrations and models differ
  new NAME                        writes a migration with the SQL that brings the migrations to the models
  resolve applied|rolled-back ID  settles a migration that failed outside a transaction

DATABASE_URL names the server; without it check and new, and deploy as a trial, use an embedded one that is deleted again.`;

interface CommandContext {
  readonly url: string;
  readonly folders: SchemaFolders;
  readonly args: readonly string[];
}

/** Answers the exit code. */
type Command = (context: CommandContext) => Promise<number>;

const commands: Readonly<Record<string, Command>> = {
  async deploy({ url, folders }) {
    const { applied } = await migrate(url, { ...folders, log: console.log });
    console.log(applied.length === 0 ? 'nothing to apply' : `${applied.length} applied`);
    return 0;
  },

  async status({ url, folders }) {
    const status = await readStatus(url, folders);
    for (const [state, names] of Object.entries(status))
      for (const name of names) console.log(`${state.padEnd(8)} ${name}`);
    if (Object.values(status).every((names) => names.length === 0)) console.log('no migrations');
    return status.failed.length > 0 || status.edited.length > 0 ? 1 : 0;
  },

  async check({ url, folders }) {
    const drift = await findDrift(url, folders);
    if (drift === null) {
      console.log('migrations and models agree');
      return 0;
    }
    console.error(
      `migrations and models differ; "node prisma/migrate.ts new NAME" writes what is missing:\n${drift.summary}\n\n${drift.sql}`,
    );
    return 1;
  },

  async new({ url, folders, args }) {
    const name = args[0];
    if (name === undefined) return failUsage('new needs a name');
    const drift = await findDrift(url, folders);
    if (drift === null) console.log('migrations and models agree: the new migration is empty');
    const file = await writeMigration(foldersOf(folders).migrationsDir, name, drift?.sql ?? '');
    console.log(`wrote ${relative(process.cwd(), file)}: read it, edit it, then run check`);
    return 0;
  },

  async resolve({ url, args }) {
    const [as, name] = args;
    if ((as !== 'applied' && as !== 'rolled-back') || name === undefined)
      return failUsage('resolve needs "applied" or "rolled-back" and a migration');
    await resolveMigration(url, name, as);
    console.log(`${name} is marked ${as}`);
    return 0;
  },
};

/** Runs one command of the command line and sets the exit code. */
export async function runMigrateCommand(argv: readonly string[]): Promise<void> {
  try {
    process.exitCode = await run(argv);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}

async function run(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { schema: { type: 'string' }, migrations: { type: 'string' } },
    allowPositionals: true,
  });
  const [name, ...args] = positionals;
  const command = commands[name ?? ''];
  if (command === undefined) return failUsage(name === undefined ? 'no command' : `unknown command "${name}"`);
  const folders: SchemaFolders = {
    ...(values.schema === undefined ? {} : { schemaDir: values.schema }),
    ...(values.migrations === undefined ? {} : { migrationsDir: values.migrations }),
  };
  const url = process.env['DATABASE_URL'];
  if (url) return command({ url, folders, args });
  if (name === 'status' || name === 'resolve') return failUsage(`${name} needs DATABASE_URL`);
  await using server = await startTemporaryPostgres({ volatile: true });
  return await command({ url: server.url, folders, args });
}

function failUsage(problem: string): number {
  console.error(`${problem}\n${usage}`);
  return 2;
}
