import { type Config, isLiveVariable, type LiveVariable, liveVariables } from '#shared/config.ts';
import { readConfigFiles } from '#shared/configFiles.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { followerOf, parseLive } from '#shared/liveConfig.ts';
import { appendChange } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, text } from '#shared/validation.ts';
import { type ConfigEntriesDeps, configStream, createConfigEntries } from './entries.ts';
import { createHoldTo, type SchemaHolder } from './holdTo.ts';
import { type ConfigProblem, findProblems } from './inputs.ts';
import type { ConfigRow } from './rows.ts';

export type ConfigSource = 'DEFAULT' | 'FILE' | 'SERVICE' | 'DATABASE' | 'ENVIRONMENT';

/** A value that holds, and where it comes from. */
export interface EffectiveConfig {
  readonly key: string;
  readonly value: unknown;
  readonly source: ConfigSource;
  /** The database's entry, where it is the source. */
  readonly row: ConfigRow | null;
}

const name = text({ min: 1, max: 255 });

/** Where the value of a live variable comes from, weakest first: default, file, service, database, environment. */
function sourceOf(config: Config, key: LiveVariable, row: ConfigRow | null): ConfigSource {
  if (config.fixed.has(key)) return 'ENVIRONMENT';
  if (row !== null && isUsable(key, row.value)) return 'DATABASE';
  if (followerOf(config)?.isServed(key) === true) return 'SERVICE';
  const files = config.CONFIG_DIR === undefined ? {} : readConfigFiles(config.CONFIG_DIR, config.NODE_ENV);
  return key in files ? 'FILE' : 'DEFAULT';
}

function isUsable(key: LiveVariable, value: unknown): boolean {
  try {
    parseLive(key, value);
    return true;
  } catch {
    return false;
  }
}

/** Values of the tenant and of the platform itself, versioned; what the platform reads of them it follows at once. */
export function createConfiguration(runtime: ModuleRuntime, deps: Omit<ConfigEntriesDeps, 'holdTo'> & SchemaHolder) {
  const { sql, config, publisher } = runtime;
  const holdTo = createHoldTo(deps.schemas);
  const entries = createConfigEntries(runtime, { ...deps, holdTo });

  /** @throws {VALIDATION_FAILED} */
  async function effective(
    scope: RequestScope,
    key: string,
    place: { readonly module: string | null; readonly environment: string | null },
  ): Promise<EffectiveConfig | null> {
    parseInput(name, key, ['key']);
    for (const part of ['module', 'environment'] as const)
      if (place[part] !== null) parseInput(name, place[part], [part]);
    const row = await entries.effective(scope, key, {
      module: place.module,
      environment: isLiveVariable(key) ? config.NODE_ENV : (place.environment ?? config.NODE_ENV),
    });
    if (isLiveVariable(key)) {
      const source = sourceOf(config, key, row);
      return { key, value: config[key], source, row: source === 'DATABASE' ? row : null };
    }
    return row === null ? null : { key, value: row.value, source: 'DATABASE', row };
  }

  return {
    ...entries,
    effective,

    /** Whether values would be taken, each held to the schema named or that of the tenant's own entry. */
    async check(scope: RequestScope, given: unknown): Promise<readonly ConfigProblem[]> {
      const { values, problems } = findProblems(given);
      const found = [...problems];
      for (const { key, value, schemaRef } of values) {
        if (problems.some((problem) => problem.key === key)) continue;
        const place = { key, scope: 'tenant', target: '' } as const;
        const own = schemaRef == null ? ((await entries.find(scope, place))?.schemaRef ?? null) : schemaRef;
        if (own === null || own === '') continue;
        try {
          await holdTo(scope, own, value);
        } catch (error) {
          if (!(error instanceof PlatformError)) throw error;
          found.push({ key, message: error.message });
        }
      }
      return found;
    },

    /** What holds of the platform's own variables that change while it runs. */
    variables: (scope: RequestScope) =>
      Promise.all(
        liveVariables.map(async (key) => (await effective(scope, key, { module: null, environment: null }))!),
      ),

    /** Has every instance read files and database anew; answers what has another value in this one. */
    async reload(scope: RequestScope): Promise<readonly LiveVariable[]> {
      const { tenantId, subject } = scope.principal;
      const changed = (await followerOf(config)?.reload()) ?? [];
      const events = await sql.begin((tx) =>
        appendChange(tx, 'platform', [
          {
            tenantId,
            actor: subject,
            traceparent: scope.traceparent,
            events: [
              {
                streamId: configStream(tenantId),
                type: 'config.reload',
                data: { changed, everywhere: true },
                tags: [],
              },
            ],
            audit: [{ action: 'config.reload', resource: 'Config', resourceId: 'all' }],
          },
        ]),
      );
      await publisher.published(events, scope);
      return changed;
    },
  };
}
