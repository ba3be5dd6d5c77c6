import { resolve } from 'node:path';
import type { z } from 'zod';
import { type SubgraphName, subgraphNames } from '../names.ts';
import { readConfigFiles } from './configFiles.ts';
import { databaseUrl } from './configVariables/forms.ts';
import { moduleVariables } from './configVariables/modules.ts';
import { observingVariables } from './configVariables/observing.ts';
import { processVariables } from './configVariables/process.ts';
import { requestVariables } from './configVariables/requests.ts';
import { securityVariables } from './configVariables/security.ts';
import { readSecretFiles } from './secretFiles.ts';

/** Every environment variable the platform reads, with its meaning. */
export const configVariables = {
  ...processVariables,
  ...securityVariables,
  ...observingVariables,
  ...requestVariables,
  ...moduleVariables,
} as const;

/** Defaults of a variable where they are not those of development, by NODE_ENV. */
type Defaults = Readonly<Record<string, string>>;

/** Variables that are looked at whenever they are needed: the files and the database may change them while it runs. */
export const liveVariables = [
  'MAX_QUERY_COST',
  'RATE_LIMIT_SUBJECT',
  'RATE_LIMIT_ADDRESS',
  'SUBSCRIPTIONS_PER_CONNECTION',
  'SUBSCRIPTIONS_PER_SUBJECT',
  'SUBSCRIPTIONS_PER_INSTANCE',
  'PLAN_SESSIONS',
  'TRACE_ALERT_RULES',
  'EXTENSION_CRASHES',
  'QUOTA_EXTENSIONS_PER_TENANT',
  'QUOTA_ACTIVE_EXTENSIONS_PER_TENANT',
  'QUOTA_CONCURRENT_INSTALLS_PER_TENANT',
  'CORE_STATUS_PER_MINUTE',
  'CORE_HEALTH_PER_MINUTE',
  'CORE_WORKFLOWS_PER_MINUTE',
  'CORE_ALLOCATIONS_PER_MINUTE',
  'CORE_EVENTS_PER_MINUTE',
  'QUOTA_CONTEXTS_PER_USER',
  'QUOTA_CONTEXTS_PER_TENANT',
  'QUOTA_JOIN_REQUESTS_PER_CONTEXT',
  'QUOTA_PARTICIPANTS_PER_CONTEXT',
  'QUOTA_MESSAGES_PER_MINUTE',
  'QUOTA_DIALOG_PARTICIPANTS',
  'AUDIT_RETENTION_DAYS',
  'FILE_RETENTION_DAYS',
] as const satisfies readonly (keyof typeof configVariables)[];
export type LiveVariable = (typeof liveVariables)[number];

export function isLiveVariable(name: string): name is LiveVariable {
  return (liveVariables as readonly string[]).includes(name);
}

type Variables = { [Name in keyof typeof configVariables]: z.output<(typeof configVariables)[Name]['schema']> };

export interface Config extends Readonly<Variables> {
  readonly production: boolean;
  /** DATABASE_URL_<MODULE>: modules that live in a database of their own. */
  readonly databaseUrls: ReadonlyMap<SubgraphName, string>;
  readonly dataDir: string;
  /** Variables that the environment itself sets: nothing else does then. */
  readonly fixed: ReadonlySet<string>;
}

/** What files and database say of live variables at the moment, by configuration. */
const overlays = new WeakMap<Config, { values: ReadonlyMap<LiveVariable, unknown> }>();

/** Replaces what they say; answers the variables that have another value now. What the environment sets stays. */
export function setLive(config: Config, values: ReadonlyMap<LiveVariable, unknown>): readonly LiveVariable[] {
  const overlay = overlays.get(config);
  if (overlay === undefined) return [];
  const before = liveVariables.map((name) => config[name]);
  overlay.values = values;
  return liveVariables.filter((name, at) => config[name] !== before[at]);
}

/** Tenant of what the processes tell of themselves. */
export function operatorTenantOf({ OPERATOR_TENANT, NODE_ENV }: Pick<Config, 'OPERATOR_TENANT' | 'NODE_ENV'>): string {
  // No token names a tenant so: what is kept under it waits for an operator.
  return OPERATOR_TENANT ?? (NODE_ENV === 'development' ? 'demo' : '#platform');
}

/**
 * Reads the environment once, at start; what it does not set, the files of CONFIG_DIR may. Secrets may stand in files of
 * their own, which `<NAME>_FILE` names.
 * @throws {Error} naming every variable that does not fit, with what was expected.
 */
export function readConfig(given: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const environment = readSecretFiles(given, problems);
  const values: Record<string, unknown> = {};
  const fixed = new Set(Object.keys(environment).filter((name) => name in configVariables && environment[name] !== ''));
  const files = environment['CONFIG_DIR']
    ? readConfigFiles(environment['CONFIG_DIR'], environment['NODE_ENV'] || 'development')
    : {};
  for (const name of Object.keys(files))
    if (!(name in configVariables))
      problems.push(`${name}: a file of CONFIG_DIR names it, and there is no such variable`);
  const kind = environment['NODE_ENV'] || 'development';
  for (const [name, variable] of Object.entries(configVariables)) {
    const { schema } = variable;
    const usual = 'byEnvironment' in variable ? (variable.byEnvironment as Defaults)[kind] : undefined;
    const raw = (fixed.has(name) ? environment[name] : files[name]) ?? usual;
    const result = schema.safeParse(raw === '' ? undefined : raw);
    if (result.success) values[name] = result.data;
    else problems.push(`${name}: ${result.error.issues.map((issue) => issue.message).join('; ')}`);
  }
  const databaseUrls = new Map<SubgraphName, string>();
  for (const name of subgraphNames) {
    const variable = `DATABASE_URL_${name.toUpperCase()}`;
    const url = environment[variable];
    if (!url) continue;
    const result = databaseUrl.safeParse(url);
    if (result.success) databaseUrls.set(name, url);
    else problems.push(`${variable}: ${result.error.issues.map((issue) => issue.message).join('; ')}`);
  }
  if (problems.length > 0) throw new Error(`configuration is not usable:\n  ${problems.join('\n  ')}`);
  const variables = values as Variables;
  const overlay: { values: ReadonlyMap<LiveVariable, unknown> } = { values: new Map() };
  const config = {
    ...variables,
    production: variables.NODE_ENV === 'production',
    databaseUrls,
    dataDir: resolve(variables.DATA_DIR),
    fixed,
  };
  for (const name of liveVariables) {
    const start = variables[name];
    Object.defineProperty(config, name, {
      enumerable: true,
      get: () => (fixed.has(name) ? start : (overlay.values.get(name) ?? start)),
    });
  }
  overlays.set(config, overlay);
  return Object.freeze(config);
}
