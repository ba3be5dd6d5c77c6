import { type Config, readConfig } from '#shared/config.ts';
import { createLogBuffer } from '#shared/logs/buffer.ts';
import { closeOnSignal } from '#shared/shutdown.ts';
import { describeStartFailure } from '#shared/startFailure.ts';
import { collectStartGarbage } from '#shared/startGarbage.ts';
import { createLogger } from '#shared/telemetry.ts';
import { openDatabase } from '../prisma/database.ts';
import { createAuthenticator, developmentKeyDir } from './auth.ts';
import type { RunningGateway } from './start.ts';

try {
  const config = readConfig(process.env);
  const starting = start(config);
  closeOnSignal(async () => (await starting).close(), { deadlineMs: config.DRAIN_TIMEOUT_MS + 20_000 });
  const gateway = await starting;
  process.stdout.write(
    `\n  graph   ${gateway.url}/graphql\n  explore ${gateway.url}/ide\n  health  ${gateway.url}/ready\n\n`,
  );
  collectStartGarbage(2_000);
} catch (error) {
  process.stderr.write(`${describeStartFailure(error)}\n`);
  process.exit(1);
}

/** Keys are asked for before anything is touched; PostgreSQL starts on the other core while the modules are loaded here. */
async function start(config: Config): Promise<RunningGateway> {
  const logBuffer = createLogBuffer();
  const logger = createLogger(config.LOG_LEVEL, config.LOG_STORE ? logBuffer : undefined);
  const authenticator = createAuthenticator(
    {
      mode: config.production ? 'production' : 'development',
      jwksUrl: config.AUTH_JWKS_URL,
      publicKeyFile: config.AUTH_PUBLIC_KEY_FILE,
      issuer: config.AUTH_ISSUER,
      audience: config.AUTH_AUDIENCE,
      stepUp: { acr: config.STEP_UP_ACR, maxAgeSeconds: config.STEP_UP_MAX_AGE_SECONDS },
      developmentKeyDir: developmentKeyDir(config.dataDir),
    },
    { logger },
  );
  const database = openDatabase(config, logger);
  // Waited for below; until then nobody would hear of its failure.
  database.catch(() => {});
  const { startGateway } = await import('./start.ts');
  return startGateway({ config, logger, logBuffer, authenticator, database });
}
