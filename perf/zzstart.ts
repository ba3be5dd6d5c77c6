import { mkdtempSync } from 'node:fs';
import { startTemporaryPostgres } from '../prisma/embedded.ts';
import { readConfig } from '#shared/config.ts';
const pg = await startTemporaryPostgres({ volatile: true });
const dataDir = mkdtempSync('/tmp/zz-');
const { startFromConfig } = await import('../gateway/startFromConfig.ts');
const env = { PATH: process.env.PATH, PORT: '0', DATA_DIR: dataDir, DATABASE_URL: pg.url, LOG_LEVEL: 'warn', DATABASE_POOL: '4', DATABASE_PRISMA_POOL: '2' };
for (let i = 0; i < 8; i++) {
  const c = process.cpuUsage(); const t = performance.now();
  const g = await startFromConfig(readConfig(env));
  const c1 = process.cpuUsage(c); const t1 = performance.now();
  await g.close();
  const c2 = process.cpuUsage(c);
  console.log(i, 'start', ((c1.user + c1.system) / 1e3) | 0, 'wall', (t1 - t) | 0, 'with close', ((c2.user + c2.system) / 1e3) | 0);
}
await pg.stop();
process.exit(0);
