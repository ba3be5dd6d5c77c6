import { defineConfig } from 'prisma/config';

// `prisma generate` would download a schema engine it never runs: any executable file keeps it offline.
// Migrations go through prisma/migrate.ts, whose engine comes with npm as WebAssembly.
process.env['PRISMA_SCHEMA_ENGINE_BINARY'] ??= process.execPath;

export default defineConfig({
  schema: 'prisma',
  migrations: { path: 'prisma/migrations' },
  ...(process.env['DATABASE_URL'] ? { datasource: { url: process.env['DATABASE_URL'] } } : {}),
});
