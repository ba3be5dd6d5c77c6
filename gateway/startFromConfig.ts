import type { Config } from '#shared/config.ts';
import { createLogBuffer } from '#shared/logs/buffer.ts';
import { createLogger } from '#shared/telemetry.ts';
import { openDatabase } from '../prisma/database.ts';
import { createAuthenticator, developmentKeyDir } from './auth.ts';
import type { RunningGateway } from './start.ts';

/** Keys are asked for before anything is touched; PostgreSQL starts on the other core while the modules are loaded here. */
export async function startFromConfig(
  config: Config,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<RunningGateway> {
  const logBuffer = createLogBuffer();
  const logger = createLogger(config.LOG_LEVEL, config.LOG_STORE ? logBuffer : undefined);
  const authenticator = createAuthenticator(
    {
      mode: config.production ? 'production' : 'development',
      jwksUrl: config.AUTH_JWKS_URL,
      publicKeyFile: config.AUTH_PUBLIC_KEY_FILE,
      issuer: config.AUTH_ISSUER,
      audience: config.AUTH_AUDIENCE,
      maxTokenLifeSeconds: config.AUTH_MAX_TOKEN_LIFE_SECONDS,
      allowTokensWithoutId: config.AUTH_ALLOW_TOKENS_WITHOUT_ID,
      stepUp: { acr: config.STEP_UP_ACR, maxAgeSeconds: config.STEP_UP_MAX_AGE_SECONDS },
      developmentKeyDir: developmentKeyDir(config.dataDir),
    },
    { logger },
  );
  const database = openDatabase(config, logger, signal);
  // Waited for below; until then nobody would hear of its failure.
  database.catch(() => {});
  const { startGateway } = await import('./start.ts');
  return startGateway({ config, logger, logBuffer, authenticator, database, signal });
}
