import { z } from 'zod';
import { addressList, count, domainList, flag, httpUrl, riskCutoffs, serverList } from './forms.ts';

/** Rules and quotas of the modules. */
export const moduleVariables = {
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
  // The guide's figures are for one client each; in development one demo principal stands for all, loads included.
  CORE_STATUS_PER_MINUTE: {
    schema: count.default(1_000_000),
    byEnvironment: { production: '100' },
    description: 'looks at systemStatus of a subject in a minute; in production 100 by default',
  },
  CORE_HEALTH_PER_MINUTE: {
    schema: count.default(1_000_000),
    byEnvironment: { production: '1000' },
    description: 'looks at systemHealth of a subject in a minute; in production 1000 by default',
  },
  CORE_WORKFLOWS_PER_MINUTE: {
    schema: count.default(1_000_000),
    byEnvironment: { production: '50' },
    description: 'workflows that a subject makes or starts in a minute; in production 50 by default',
  },
  CORE_ALLOCATIONS_PER_MINUTE: {
    schema: count.default(1_000_000),
    byEnvironment: { production: '200' },
    description: 'requests for resources of a subject in a minute; in production 200 by default',
  },
  CORE_EVENTS_PER_MINUTE: {
    schema: count.default(1_000_000),
    byEnvironment: { production: '500' },
    description: 'system events that a subject tells in a minute; in production 500 by default',
  },
  CORE_GRACE_MS: {
    schema: count.default(10_000),
    description: 'time that running steps are given when their execution is cancelled or has failed, ms',
  },
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
  CONTEXT_SEARCH_INDEX_MB: {
    schema: z.coerce.number().int().min(0).default(256),
    description: 'memory for search indexes over contexts, MB; 0 leaves every search to PostgreSQL',
  },
  CONTEXT_SEARCH_INDEX_MAX: {
    schema: count.default(500_000),
    description: 'contexts of a tenant up to which its searches are answered from memory',
  },
  CONTEXT_UNIQUE_NAMES: {
    schema: flag.default(false),
    description: 'an owner has each title once among its contexts; another one is refused as DUPLICATE_NAME',
  },
  TRACE_SAMPLING_RATE: {
    schema: z.coerce.number().min(0).max(1).default(1),
    description: 'share of the traces that is kept once they have ended; failed and slow ones are kept whatever it is',
  },
  TRACE_SLOW_MS: { schema: count.default(1_000), description: 'a trace that takes as long as this is kept, ms' },
  TRACE_DECISION_SECONDS: {
    schema: count.default(600),
    description: 'seconds without a new span after which exporters’ traces whose root has not ended are decided about',
  },
  TRACE_MAX_UNDECIDED: {
    schema: count.default(100_000),
    description:
      'traces that may stand before it is decided whether they are kept; over it the oldest are decided about early',
  },
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
  COLLAB_WRITER_URL: {
    schema: httpUrl.optional(),
    description:
      'service that words recommendations of collaborations: it is posted their figures and answers {"wording": "..."}; without it they are worded here, and so is what holds a number of its own',
  },
  COLLAB_WRITER_TOKEN: {
    schema: z.string().min(1).optional(),
    description: 'bearer token that the service is shown; may stand in the file that COLLAB_WRITER_TOKEN_FILE names',
  },
  COLLAB_WRITER_TIMEOUT_MS: {
    schema: count.max(30_000).default(3_000),
    description: 'time the service has to word one recommendation, ms',
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
  NETWORK_PROBE_NETWORKS: {
    schema: addressList.optional(),
    description:
      'addresses or networks, comma separated, at which nodes of networks may be reached for; without any none is',
  },
  NETWORK_DISCOVERY_DOMAINS: {
    schema: domainList.optional(),
    description: 'domains, comma separated, in which services of networks may be asked for by DNS; without any none is',
  },
  NETWORK_NAME_SERVERS: {
    schema: serverList.optional(),
    description:
      'name servers for that, addresses with or without ports, comma separated; without any those of the system',
  },
  QUOTA_EXTENSIONS_PER_TENANT: {
    schema: count.default(200_000),
    description: 'extensions of a tenant that are not uninstalled',
  },
  QUOTA_ACTIVE_EXTENSIONS_PER_TENANT: { schema: count.default(1_000), description: 'extensions of a tenant that run' },
  QUOTA_CONCURRENT_INSTALLS_PER_TENANT: {
    schema: count.default(5),
    description: 'extensions of a tenant that are being installed at the same time',
  },
  ROLE_ACCESS_EVENT_SECONDS: {
    schema: z.coerce.number().int().min(0).default(60),
    description: 'seconds between two events access.granted, or access.denied, about one subject; 0: none',
  },
  ROLE_EVALUATION_TIMEOUT_MS: {
    schema: count.max(60_000).optional(),
    description: 'longest that a question about a permission is looked at, ms; by default 1000, in production 500',
  },
  // Fifty by default and ten thousand, says the page; in development one demo principal stands for everybody.
  QUOTA_CONTEXTS_PER_USER: {
    schema: count.default(1_000),
    byEnvironment: { production: '500' },
    description: 'contexts one owner may hold open; by default 1000, in production 500',
  },
  QUOTA_CONTEXTS_PER_TENANT: {
    schema: count.default(10_000),
    byEnvironment: { production: '100000' },
    description: 'contexts of a tenant that are neither closed nor archived; by default 10000, in production 100000',
  },
  QUOTA_OPEN_CONFIRMS: {
    schema: count.optional(),
    description: 'confirms a tenant may have open; by default 10000, in production 50000',
  },
  QUOTA_OPEN_CONFIRMS_PER_REQUESTER: {
    schema: count.optional(),
    description: 'confirms one subject may have asked for that are open; by default 5000, in production 20000',
  },
  QUOTA_JOIN_REQUESTS_PER_CONTEXT: {
    schema: count.default(100),
    description: 'agents that may wait to be let into one context; who asks beside them is refused',
  },
  QUOTA_PARTICIPANTS_PER_CONTEXT: { schema: count.default(1_000), description: 'participants of one context at most' },
  QUOTA_MESSAGES_PER_MINUTE: { schema: count.default(1_000), description: 'messages a minute in one dialog' },
  QUOTA_DIALOG_PARTICIPANTS: { schema: count.default(100), description: 'participants of one dialog at most' },
} as const;
