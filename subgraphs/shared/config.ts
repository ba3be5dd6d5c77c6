import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import { isSubgraphName, type SubgraphName, subgraphNames } from '../names.ts';
import { readConfigFiles } from './configFiles.ts';
import { readSecretFiles } from './secretFiles.ts';

const port = z.coerce.number().int().min(0).max(65_535);
const flag = z.enum(['true', 'false', '1', '0', 'on', 'off']).transform((value) => ['true', '1', 'on'].includes(value));
const count = z.coerce.number().int().min(1);

const riskCutoffs = z.string().transform((text, context): [number, number, number, number] => {
  const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  const [low, medium, high, critical] = values;
  if (values.length === 4 && low! > 0 && low! < medium! && medium! < high! && high! < critical! && critical! <= 1)
    return [low!, medium!, high!, critical!];
  context.addIssue({ code: 'custom', message: `expected four rising numbers over 0 to 1, got "${text}"` });
  return z.NEVER;
});

const zeroOrMore = z.coerce.number().int().min(0);

const addressList = z.string().transform((text, context) => {
  const addresses = text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
  for (const address of addresses) {
    const [host, prefix, ...rest] = address.split('/');
    const bits = isIP(host ?? '') === 6 ? 128 : 32;
    const fits = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
    if (isIP(host ?? '') !== 0 && fits && rest.length === 0) continue;
    context.addIssue({ code: 'custom', message: `expected addresses like 10.0.0.0/8, got "${address}"` });
    return z.NEVER;
  }
  return addresses;
});

const nameList = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
);

const httpUrl = z
  .string()
  .refine((value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol), 'expected an http(s) URL');

const databaseUrl = urlOf(['postgres:', 'postgresql:'], 'postgres://user:password@host:port/database');

/** The value may hold a password: no message repeats it. */
function urlOf(protocols: readonly string[], example: string) {
  return z
    .string()
    .refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), `expected ${example}`);
}

const subgraphUrls = z.string().transform((text, context) => {
  const urls = new Map<SubgraphName, string>();
  for (const part of text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)) {
    const [name, ...rest] = part.split('=');
    const url = rest.join('=');
    if (!isSubgraphName(name ?? '') || !URL.canParse(url)) {
      context.addIssue({ code: 'custom', message: `expected name=url pairs, got "${part}"` });
      return z.NEVER;
    }
    urls.set(name as SubgraphName, url);
  }
  return urls;
});

const subgraphList = z.string().transform((text, context) => {
  const names = text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
  for (const name of names) {
    if (!isSubgraphName(name)) {
      context.addIssue({
        code: 'custom',
        message: `unknown subgraph "${name}"; there are: ${subgraphNames.join(', ')}`,
      });
      return z.NEVER;
    }
  }
  return names as SubgraphName[];
});

/** Every environment variable the platform reads, with its meaning; `docs` renders this table. */
export const configVariables = {
  NODE_ENV: {
    schema: z.enum(['development', 'test', 'production']).default('development'),
    description: 'production refuses to start without keys and hides introspection',
  },
  PORT: { schema: port.default(4000), description: 'port of the gateway; 0 picks a free one' },
  HOST: { schema: z.string().min(1).default('127.0.0.1'), description: 'address the gateway listens on' },
  CONFIG_DIR: {
    schema: z.string().min(1).optional(),
    description:
      'folder of default.json and <NODE_ENV>.json, which hold variables; the database and the environment go first',
  },
  DATA_DIR: {
    schema: z.string().min(1).default('.data'),
    description: 'folder of the embedded database, development keys and internal secret',
  },
  DATABASE_URL: {
    schema: databaseUrl.optional(),
    description: 'PostgreSQL 15 or newer; without it an embedded PostgreSQL 18 is started',
  },
  REDIS_URL: {
    schema: urlOf(['redis:', 'rediss:'], 'redis://host:port').optional(),
    description: 'L2 cache, fan-out between instances, rate limits; without it they stay in the process',
  },
  SUBGRAPHS: {
    schema: subgraphList.optional(),
    description: 'subgraphs this process serves, comma separated; all by default',
  },
  SUBGRAPH_URLS: {
    schema: subgraphUrls.optional(),
    description: 'name=url pairs: subgraphs the gateway reaches over HTTP instead of in-process',
  },
  GATEWAY_URL: {
    schema: httpUrl.optional(),
    description: 'GraphQL endpoint of the gateway, for subgraphs in processes of their own',
  },
  SUBGRAPH_PORT: {
    schema: port.default(4100),
    description: 'first port of subgraphs/main.ts; each subgraph takes the next',
  },
  SUBGRAPH_HOST: { schema: z.string().min(1).default('127.0.0.1'), description: 'address subgraph ports bind to' },
  AUTH_JWKS_URL: { schema: httpUrl.optional(), description: 'JWKS of the token issuer' },
  AUTH_PUBLIC_KEY_FILE: {
    schema: z.string().optional(),
    description: 'PEM public key of the token issuer, instead of a JWKS',
  },
  AUTH_PRIVATE_KEY_FILE: {
    schema: z.string().optional(),
    description: 'PEM private key with which `npm run token` signs in production',
  },
  AUTH_ISSUER: { schema: z.string().default('mplp-development'), description: 'required `iss`' },
  AUTH_AUDIENCE: { schema: z.string().default('mplp-graph'), description: 'required `aud`' },
  STEP_UP_ACR: {
    schema: nameList.default(['mfa']),
    description: 'values of `acr` that count as a stepped-up authentication, comma separated',
  },
  STEP_UP_MAX_AGE_SECONDS: {
    schema: count.default(900),
    description: 'how long after `auth_time` it counts as fresh, s',
  },
  API_TOKENS_PER_SUBJECT: { schema: count.default(50), description: 'API tokens of a subject that are in force' },
  ENCRYPTION_KEY_FILE: {
    schema: z.string().min(1).optional(),
    description:
      'master keys, a line each as name:base64 of 32 bytes, the first one in use; made under DATA_DIR outside production',
  },
  DATA_KEY_DAYS: { schema: count.default(90), description: 'days after which a tenant gets a new data key' },
  INTERNAL_SECRET: {
    schema: z.string().min(32).optional(),
    description: 'signs the identity the gateway hands to subgraphs; generated under DATA_DIR when absent',
  },
  LOG_LEVEL: {
    schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
    description: 'least level that is logged',
  },
  LOG_STORE: {
    schema: flag.default(true),
    description: 'whether what the processes log is kept in the database beside standard output',
  },
  LOG_RETENTION_DAYS: { schema: count.default(30), description: 'days records of the log are kept' },
  METRIC_HISTORY: {
    schema: flag.default(true),
    description: 'whether the history of the metrics is kept in the database: off where a Prometheus server keeps it',
  },
  METRIC_SAMPLE_MS: {
    schema: count.min(1_000).default(15_000),
    description: 'time between two samples of the metrics, and two looks at the alert rules, ms',
  },
  METRIC_RETENTION_DAYS: { schema: count.default(2), description: 'days metrics are kept as they were sampled' },
  METRIC_ROLLUP_DAYS: { schema: count.default(30), description: 'days metrics are kept by five minutes' },
  ERROR_RETENTION_DAYS: { schema: count.default(30), description: 'days captured errors are kept' },
  WEBHOOK_NETWORKS: {
    schema: addressList.optional(),
    description: 'private addresses or networks that webhooks may lead to, comma separated; none by default',
  },
  OPERATOR_TENANT: {
    schema: z.string().min(1).max(255).optional(),
    description:
      "tenant of who runs the platform: it has the processes' logs, metrics and errors, and may change what all tenants share; nobody by default, in development `demo`",
  },
  CACHE: { schema: flag.default(true), description: 'response cache on or off' },
  CACHE_L1_ENTRIES: { schema: count.default(20_000), description: 'entries of the in-process cache' },
  CACHE_TTL_MS: {
    schema: count.default(300_000),
    description: 'life of an in-process cache entry, ms; only bounds damage',
  },
  CACHE_TENANT_ENTRIES: { schema: count.default(10_000), description: 'cache entries of its own a tenant may have' },
  CACHE_TENANT_BYTES: {
    schema: count.default(67_108_864),
    description: 'bytes of keys, values and tags of these entries',
  },
  DATABASE_POOL: { schema: count.default(10), description: 'connections of the hot path (postgres.js), per process' },
  DATABASE_KEYED_POOL: {
    schema: count.default(2),
    description: 'pipelined connections for reads by key (postgres.js), per process',
  },
  DATABASE_CONSUMER_POOL: {
    schema: count.default(3),
    description: 'connections that read events of other modules, per process',
  },
  DATABASE_PRISMA_POOL: { schema: count.default(5), description: 'connections of Prisma, per process' },
  COMPUTE_THREADS: {
    schema: count.max(64).default(Math.max(2, availableParallelism() - 1)),
    description: 'threads for CPU-heavy work at most; of several one stays free for callers who wait',
  },
  COMPUTE_QUEUE: { schema: count.default(1_000), description: 'tasks of each lane that may wait for a thread' },
  BATCH_MAX_ITEMS: { schema: count.default(50), description: 'mutations that share one transaction at most' },
  BATCH_MAX_DELAY_MS: {
    schema: z.coerce.number().min(0).max(100).default(1),
    description: 'time the first of them waits for company, ms',
  },
  CORE_WORKER_SLOTS: {
    schema: count.max(1_000).default(32),
    description: 'steps of workflows at the same time, per process',
  },
  CORE_LEASE_MS: {
    schema: count.default(30_000),
    description: 'life of the lease of a step, ms; renewed at a third of it',
  },
  CORE_POLL_MS: {
    schema: count.default(250),
    description: 'longest time between two looks for workflows that are due, ms',
  },
  CORE_METRIC_MS: {
    schema: count.default(15_000),
    description: 'stretches of time that waits and durations of workflows are summed up over, ms',
  },
  CORE_METRIC_HOURS: { schema: count.default(48), description: 'hours these sums are kept' },
  CORE_GRACE_MS: {
    schema: count.default(10_000),
    description: 'time that running steps are given when their execution is cancelled or has failed, ms',
  },
  EVENT_RETENTION_DAYS: { schema: count.default(7), description: 'days events stay replayable' },
  TRACE_HISTORY: {
    schema: flag.default(true),
    description: 'whether what happens in the other modules is kept as traces of contexts and runs',
  },
  TRACE_COMPLETED_HOURS: {
    schema: count.default(168),
    description: 'hours a trace that did not fail is kept after its end',
  },
  TRACE_FAILED_HOURS: { schema: count.default(720), description: 'hours a failed trace is kept after its end' },
  TRACE_ALERTS: {
    schema: flag.default(true),
    description: 'whether alert rules are held against metrics and ended traces',
  },
  TRACE_ALERT_RULES: { schema: count.default(100), description: 'alert rules a tenant may have' },
  TRACE_METRIC_DAYS: { schema: count.default(15), description: 'days metrics of traces are kept as they came' },
  TRACE_MINUTE_DAYS: {
    schema: count.default(90),
    description: 'days metrics of traces are kept by the minute after that',
  },
  TRACE_HOUR_DAYS: { schema: count.default(365), description: 'days they are kept by the hour' },
  TRACE_DAY_DAYS: { schema: count.default(1_825), description: 'days they are kept by the day' },
  TRACE_BASELINE_HOURS: {
    schema: count.default(24),
    description: 'hours before a metric that say what is usual; 168 suits production',
  },
  TRACE_RETENTION_DAYS: { schema: count.default(30), description: 'days spans and events of traces are kept' },
  AUDIT_RETENTION_DAYS: {
    schema: count.max(2_555).default(2_555),
    description: 'days audit rows are kept; the chain of their blocks stays',
  },
  FILE_RETENTION_DAYS: { schema: count.default(30), description: 'days exports and reports can be downloaded' },
  EVENT_LEASE_MS: {
    schema: count.min(1_000).default(30_000),
    description: 'time a worker has a partition of deliveries to itself, ms; after a crash others wait as long',
  },
  EVENT_POLL_MS: {
    schema: count.default(100),
    description: 'poll of the event tables while no bus connects the instances, ms',
  },
  CONTEXT_SEARCH_INDEX_MB: {
    schema: z.coerce.number().int().min(0).default(256),
    description: 'memory for search indexes over contexts, MB; 0 leaves every search to PostgreSQL',
  },
  CONTEXT_SEARCH_INDEX_MAX: {
    schema: count.default(500_000),
    description: 'contexts of a tenant up to which its searches are answered from memory',
  },
  MAX_BODY_BYTES: { schema: count.default(1_048_576), description: 'request body limit, bytes' },
  MAX_BULK_BODY_BYTES: {
    schema: count.default(16_777_216),
    description: 'request body limit of import and bulk operations, bytes',
  },
  TRUSTED_DOCUMENTS_FILE: {
    schema: z.string().optional(),
    description: 'JSON of documents that clients name by id: { id: document } or an Apollo manifest',
  },
  TRUSTED_DOCUMENTS_ONLY: {
    schema: flag.default(false),
    description: 'whether callers from outside may run the documents of that file alone',
  },
  MAX_QUERY_TOKENS: { schema: count.default(1_000), description: 'tokens of a document' },
  MAX_QUERY_DEPTH: { schema: count.default(12), description: 'levels of fields of an operation' },
  MAX_QUERY_ALIASES: { schema: zeroOrMore.default(20), description: 'aliases of an operation, fragments expanded' },
  MAX_QUERY_ROOT_FIELDS: { schema: count.default(10), description: 'root fields of an operation' },
  MAX_QUERY_DIRECTIVES: { schema: zeroOrMore.default(9), description: 'directives of an operation' },
  MAX_QUERY_COST: {
    schema: count.default(20_000),
    description: 'cost of one operation: about the objects its answer may hold',
  },
  RATE_LIMIT: { schema: flag.default(true), description: 'whether subjects and addresses are held to a rate of cost' },
  RATE_LIMIT_WINDOW_MS: { schema: count.min(1_000).default(10_000), description: 'window of the rates, ms' },
  RATE_LIMIT_SUBJECT: { schema: count.default(100_000), description: 'cost a subject may spend in a window' },
  QUERY_TIMEOUT_MS: {
    schema: count.default(10_000),
    description: 'ms a query has until it is answered with DEADLINE_EXCEEDED and its statements are cancelled',
  },
  RATE_LIMIT_ADDRESS: { schema: count.default(1_000_000), description: 'cost an address may spend in a window' },
  TRUST_PROXY: {
    schema: addressList.optional(),
    description: 'addresses or networks of proxies whose x-forwarded-for is believed, comma separated',
  },
  SUBSCRIPTIONS_PER_CONNECTION: {
    schema: count.default(20),
    description: 'operations at once on one WebSocket, streams on one HTTP connection',
  },
  SUBSCRIPTIONS_PER_SUBJECT: {
    schema: count.default(200),
    description: 'subscriptions of one subject at once on this instance, over all its connections and transports',
  },
  SUBSCRIPTIONS_PER_INSTANCE: {
    schema: count.default(20_000),
    description: 'subscriptions this instance carries at once',
  },
  DRAIN_TIMEOUT_MS: { schema: count.default(10_000), description: 'time open work gets after SIGTERM, ms' },
  CONTEXT_UNIQUE_NAMES: {
    schema: flag.default(false),
    description: 'an owner has each title once among its contexts; another one is refused as DUPLICATE_NAME',
  },
  TRACE_SAMPLING_RATE: {
    schema: z.coerce.number().min(0).max(1).default(1),
    description: 'share of the traces of exporters that is kept; failed and slow ones are kept whatever it is',
  },
  TRACE_SLOW_MS: { schema: count.default(1_000), description: 'a span as long as this keeps its trace, ms' },
  PLAN_SESSIONS: { schema: count.default(1_000), description: 'planning sessions a tenant may have open' },
  CONFIRM_DELEGATION_DEPTH: {
    schema: count.max(10).default(3),
    description: 'how often a part in an approval may be passed on, where its step does not say less',
  },
  CONFIRM_PARALLEL_APPROVERS: {
    schema: count.max(1_000).default(10),
    description: 'holders of a role that an approval asks at once: those that suit best',
  },
  CONFIRM_RISK_CUTOFFS: {
    schema: riskCutoffs.default([0.3, 0.6, 0.8, 0.95]),
    description: 'scores, 0 to 1, from which a risk is low, medium, high and critical: 0.3,0.6,0.8,0.95',
  },
  ROLE_MAX_DEPTH: {
    schema: count.max(30).optional(),
    description: 'edges of the longest chain of roles; by default 5 in development, 15 in production, 10 in tests',
  },
  ROLE_MAX_PARENTS: { schema: count.max(100).default(5), description: 'parents of one role at most' },
  ROLE_MAX_PER_SUBJECT: { schema: count.default(20), description: 'roles one subject may hold' },
  ROLE_MAX_HOLDERS: { schema: count.default(10_000), description: 'subjects that may hold one role' },
  ROLE_CAPABILITY_PASS_MARK: {
    schema: z.coerce.number().min(0).max(1).default(0.8),
    description: 'least capability score with which a role is assigned',
  },
  ROLE_ASSIGNMENT_DAYS: {
    schema: count.optional(),
    description: 'days an assignment lasts that names no end; by default 365, in production 180',
  },
  ROLE_DELEGATION_DAYS: { schema: count.max(365).default(365), description: 'days a delegation may last at most' },
  ROLE_SUSPICIOUS_DENIALS: {
    schema: count.optional(),
    description: 'denials of a subject in five minutes that are told as suspicious; by default 10, in production 5',
  },
  EXTENSION_THREADS: {
    schema: count.max(64).default(2),
    description: 'threads of the sandbox kept ready where extensions run',
  },
  EXTENSION_THREADS_MAX: { schema: count.max(256).default(8), description: 'threads of the sandbox while calls wait' },
  EXTENSION_CALLS_PER_MINUTE: {
    schema: count.default(6_000),
    description: 'calls of one capability by one caller, a minute and instance',
  },
  EXTENSION_CONCURRENT_CALLS: { schema: count.default(1_000), description: 'calls of extensions at once, per process' },
  EXTENSION_CRASHES: {
    schema: count.default(5),
    description: 'crashes within ten minutes that put an extension in quarantine',
  },
  EXTENSION_EXECUTION_DAYS: { schema: count.default(30), description: 'days calls of extensions are kept' },
  EXTENSION_SEARCH_INDEX_MB: {
    schema: count.default(256),
    description: 'memory for search indexes over extensions, MB',
  },
  QUOTA_EXTENSIONS_PER_TENANT: {
    schema: count.default(200_000),
    description: 'extensions of a tenant that are not uninstalled',
  },
  QUOTA_ACTIVE_EXTENSIONS_PER_TENANT: { schema: count.default(1_000), description: 'extensions of a tenant that run' },
  ROLE_ACCESS_EVENT_SECONDS: {
    schema: z.coerce.number().int().min(0).default(60),
    description: 'seconds between two events access.granted, or access.denied, about one subject; 0: none',
  },
  ROLE_EVALUATION_TIMEOUT_MS: {
    schema: count.max(60_000).optional(),
    description: 'longest that a question about a permission is looked at, ms; by default 1000, in production 500',
  },
  QUOTA_CONTEXTS_PER_USER: { schema: count.default(1_000), description: 'contexts one owner may hold open' },
  QUOTA_CONTEXTS_PER_TENANT: {
    schema: count.default(100_000),
    description: 'contexts of a tenant that are neither closed nor archived',
  },
  QUOTA_OPEN_CONFIRMS: {
    schema: count.optional(),
    description: 'confirms a tenant may have open; by default 10000, in production 50000',
  },
  QUOTA_OPEN_CONFIRMS_PER_REQUESTER: {
    schema: count.optional(),
    description: 'confirms one subject may have asked for that are open; by default 5000, in production 20000',
  },
  QUOTA_PARTICIPANTS_PER_CONTEXT: { schema: count.default(1_000), description: 'participants of one context at most' },
  QUOTA_MESSAGES_PER_MINUTE: { schema: count.default(1_000), description: 'messages a minute in one dialog' },
  QUOTA_DIALOG_PARTICIPANTS: { schema: count.default(100), description: 'participants of one dialog at most' },
} as const;

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
  'QUOTA_CONTEXTS_PER_USER',
  'QUOTA_CONTEXTS_PER_TENANT',
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
  for (const [name, { schema }] of Object.entries(configVariables)) {
    const raw = fixed.has(name) ? environment[name] : files[name];
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
