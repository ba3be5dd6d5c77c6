import type { Bus } from './bus.ts';
import { type Config, configVariables, isLiveVariable, type LiveVariable, setLive } from './config.ts';
import { readConfigFiles } from './configFiles.ts';
import { createConfigService } from './configService.ts';
import type { Sql } from './sql.ts';
import type { Logger } from './telemetry.ts';

/** Keeps the live variables of a process as the files and the database say. */
export interface ConfigFollower {
  /** Reads both anew; answers the variables that have another value now. */
  reload(): Promise<readonly LiveVariable[]>;
  /** Whether the configuration service says something of a variable. */
  isServed(name: LiveVariable): boolean;
  close(): Promise<void>;
}

export interface ConfigFollowerOptions {
  readonly config: Config;
  /** Database of the platform module. */
  readonly sql: Sql;
  readonly bus: Bus;
  readonly logger: Logger;
}

interface StoredValue {
  readonly key: string;
  readonly value: unknown;
}

const followers = new WeakMap<Config, ConfigFollower>();

/** The follower of the process that has this configuration; null where nothing follows it. */
export function followerOf(config: Config): ConfigFollower | null {
  return followers.get(config) ?? null;
}

/** A value as the variable takes it. @throws {Error} with what was expected. */
export function parseLive(name: LiveVariable, value: unknown): unknown {
  const isPlain = ['string', 'number', 'boolean'].includes(typeof value);
  const result = configVariables[name].schema.safeParse(isPlain ? String(value) : undefined);
  if (isPlain && result.success) return result.data;
  const issues = result.success ? [] : result.error.issues.map(({ message }) => message);
  throw new Error(issues.join('; ') || 'expected text, a number, true or false');
}

/**
 * Follows what files, the configuration service and the database say of live variables, each before the one named first: rows of the scopes global and environment, told by events, which reach
 * every instance within its poll of the event tables also where no bus connects them.
 */
export async function followConfig({ config, sql, bus, logger }: ConfigFollowerOptions): Promise<ConfigFollower> {
  async function readDatabase(): Promise<readonly StoredValue[]> {
    // The environment's own value comes last, and so wins.
    return await sql<StoredValue[]>`
      SELECT key, value FROM platform.config_entry
      WHERE tenant_id = '' AND NOT deleted AND NOT secret AND (scope = 'global' OR (scope = 'environment' AND target = ${config.NODE_ENV}))
      ORDER BY scope DESC`;
  }

  const service =
    config.CONFIG_SERVICE_URL === undefined ? null : createConfigService(config.CONFIG_SERVICE_URL, logger);

  async function reload(): Promise<readonly LiveVariable[]> {
    const values = new Map<LiveVariable, unknown>();
    const files = config.CONFIG_DIR === undefined ? {} : readConfigFiles(config.CONFIG_DIR, config.NODE_ENV);
    const served = (await service?.read()) ?? {};
    for (const { key, value } of [
      ...Object.entries({ ...files, ...served }).map(([key, text]) => ({ key, value: text })),
      ...(await readDatabase()),
    ]) {
      if (!isLiveVariable(key)) continue;
      try {
        values.set(key, parseLive(key, value));
      } catch (error) {
        logger.warn(
          { variable: key, error: String(error) },
          'a value of the configuration is not usable; it is left out',
        );
      }
    }
    return setLive(config, values);
  }

  let closed = false;
  let reading: Promise<unknown> = Promise.resolve();
  const follow = () => {
    reading = reading
      .then(() => (closed ? [] : reload()))
      .then((changed) => {
        if (changed.length > 0) logger.info({ variables: changed }, 'the configuration has changed');
      })
      .catch((error: unknown) => {
        if (!closed) logger.warn({ error: String(error) }, 'the configuration cannot be read; the last one holds');
      });
  };
  const unsubscribe = bus.subscribe('platform', (messages) => {
    if (messages.some(({ type, data }) => type.startsWith('config.') && data['everywhere'] === true)) follow();
  });
  await reload();
  // Nobody tells what it has changed.
  const poll = service === null ? undefined : setInterval(follow, config.CONFIG_SERVICE_POLL_MS).unref();
  const follower: ConfigFollower = {
    reload,
    isServed: (name) => service !== null && name in service.values,
    async close() {
      closed = true;
      clearInterval(poll);
      unsubscribe();
      await reading;
    },
  };
  followers.set(config, follower);
  return follower;
}
