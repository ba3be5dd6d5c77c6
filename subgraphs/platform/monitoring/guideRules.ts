import { derivedId } from '#shared/derivedId.ts';
import type { Sql } from '#shared/sql.ts';
import { type AlertCondition, type NewRule, renewRule, writeRule } from './alertRules.ts';
import type { MetricFunction } from './compute.ts';

interface Line {
  readonly name: string;
  /** As the requirements guide has it. */
  readonly says: string;
  readonly metric: string;
  readonly fn: MetricFunction;
  readonly windowSeconds: number;
  readonly above: number;
  readonly forSeconds?: number;
  /** What breaks the line as well. */
  readonly also?: readonly AlertCondition[];
}

const condition = (
  metric: string,
  fn: MetricFunction,
  windowSeconds: number,
  threshold: number,
  more: {
    readonly dividedBy?: string;
    readonly labels?: Record<string, string>;
    readonly by?: readonly string[];
  } = {},
): AlertCondition => ({
  query: { metric, fn, labels: more.labels ?? {}, by: [...(more.by ?? [])], dividedBy: more.dividedBy ?? null },
  windowSeconds,
  comparison: 'ABOVE',
  threshold,
});

/** Of a process or its machine: one that is at its limit is, whatever the others do. */
const each = { by: ['instance'] } as const;

/** The guide's sixteen lines of resource utilisation, each with the figure it is held against. */
export const resourceLines: readonly Line[] = [
  {
    name: 'cpu_normal_operation',
    says: '< 70%',
    metric: 'mplp_cpu_percent',
    fn: 'AVG',
    windowSeconds: 900,
    above: 70,
    forSeconds: 900,
  },
  {
    name: 'cpu_peak_operation',
    says: '< 90%',
    metric: 'mplp_cpu_percent',
    fn: 'MAX',
    windowSeconds: 60,
    above: 90,
    forSeconds: 60,
  },
  {
    name: 'cpu_sustained_peak',
    says: '< 80%',
    metric: 'mplp_cpu_percent',
    fn: 'AVG',
    windowSeconds: 300,
    above: 80,
    forSeconds: 300,
  },
  {
    name: 'cpu_alert_threshold',
    says: '> 85%',
    metric: 'mplp_cpu_percent',
    fn: 'AVG',
    windowSeconds: 60,
    above: 85,
    forSeconds: 60,
  },
  { name: 'heap_memory', says: '< 80%', metric: 'mplp_heap_percent', fn: 'MAX', windowSeconds: 60, above: 80 },
  { name: 'off_heap_memory', says: '< 70%', metric: 'mplp_off_heap_percent', fn: 'MAX', windowSeconds: 60, above: 70 },
  {
    name: 'system_memory',
    says: '< 85%',
    metric: 'mplp_system_memory_percent',
    fn: 'MAX',
    windowSeconds: 60,
    above: 85,
  },
  // 64 MB an hour of what full collections leave: a gigabyte in a working day.
  {
    name: 'memory_leak_detection',
    says: 'enabled',
    metric: 'mplp_heap_floor_bytes',
    fn: 'SLOPE',
    windowSeconds: 1_800,
    above: 67_108_864,
    forSeconds: 600,
  },
  { name: 'disk_space', says: '< 80%', metric: 'mplp_disk_percent', fn: 'LAST', windowSeconds: 60, above: 80 },
  { name: 'inode_usage', says: '< 70%', metric: 'mplp_inode_percent', fn: 'LAST', windowSeconds: 60, above: 70 },
  {
    name: 'disk_io_wait',
    says: '< 10%',
    metric: 'mplp_io_wait_percent',
    fn: 'AVG',
    windowSeconds: 60,
    above: 10,
    forSeconds: 60,
  },
  // Real time: a look at the disks is never older than a minute. While looks are missing there is none that would say so,
  // for which the age of the last one does, until its process counts as gone.
  {
    name: 'storage_monitoring',
    says: 'real-time',
    metric: 'mplp_sample_age_seconds',
    fn: 'MAX',
    windowSeconds: 300,
    above: 60,
    also: [condition('mplp_sample_age_seconds', 'AGE', 900, 60, each)],
  },
  { name: 'bandwidth_usage', says: '< 70%', metric: 'mplp_bandwidth_percent', fn: 'AVG', windowSeconds: 60, above: 70 },
  {
    name: 'connection_count',
    says: '< 80% of max',
    metric: 'mplp_connection_percent',
    fn: 'MAX',
    windowSeconds: 60,
    above: 80,
  },
  {
    name: 'packet_loss',
    says: '< 0.1%',
    metric: 'mplp_packet_loss_percent',
    fn: 'AVG',
    windowSeconds: 300,
    above: 0.1,
  },
  {
    name: 'network_latency',
    says: '< 50ms',
    metric: 'mplp_network_latency_ms',
    fn: 'AVG',
    windowSeconds: 60,
    above: 50,
  },
];

export type GuideRule = Pick<NewRule, 'name' | 'description' | 'conditions' | 'forSeconds' | 'severity' | 'action'> &
  Partial<Pick<NewRule, 'match'>>;

/** The guide's four alert rules, with their actions. */
export const guideRules: readonly GuideRule[] = [
  {
    name: 'high_response_time',
    description: 'avg(api_response_time) > 500ms for 5 minutes',
    conditions: [condition('api_response_time', 'MEAN', 60, 500)],
    forSeconds: 300,
    severity: 'WARNING',
    action: 'SCALE_UP',
  },
  {
    name: 'high_error_rate',
    description: 'error_rate > 5% for 2 minutes',
    conditions: [condition('error_rate', 'INCREASE', 60, 0.05, { dividedBy: 'mplp_requests_total' })],
    forSeconds: 120,
    severity: 'CRITICAL',
    action: 'INVESTIGATE',
  },
  {
    name: 'resource_exhaustion',
    description: 'cpu_usage > 90% or memory_usage > 95% for 3 minutes',
    conditions: [
      condition('mplp_cpu_percent', 'AVG', 60, 90, each),
      condition('mplp_system_memory_percent', 'AVG', 60, 95, each),
    ],
    forSeconds: 180,
    severity: 'CRITICAL',
    action: 'SCALE_UP',
  },
  {
    // What fails on our side: a caller's mistake is no lack of availability.
    name: 'low_availability',
    description: 'availability < 99.9% for 1 minute',
    conditions: [
      condition('error_rate', 'INCREASE', 60, 0.001, {
        dividedBy: 'mplp_requests_total',
        labels: { severity: 'critical' },
      }),
    ],
    forSeconds: 60,
    severity: 'CRITICAL',
    action: 'FAILOVER',
  },
];

/** Share of requests that may fail on our side: the guide's 99.95 %. */
const errorBudget = 0.0005;

/** How fast the budget of 30 days may go, over a long time and, so that it ends soon after, over a short one. */
const burns = [
  {
    name: 'slo_fast_burn',
    times: 14.4,
    longSeconds: 3_600,
    shortSeconds: 300,
    severity: 'CRITICAL',
    spends: '2 % in an hour',
  },
  {
    name: 'slo_burn',
    times: 6,
    longSeconds: 21_600,
    shortSeconds: 1_800,
    severity: 'CRITICAL',
    spends: '5 % in six hours',
  },
  {
    name: 'slo_slow_burn',
    times: 3,
    longSeconds: 86_400,
    shortSeconds: 7_200,
    severity: 'WARNING',
    spends: '10 % in a day',
  },
] as const;

/** Burn rates of the objective of api_availability (Beyer et al., The Site Reliability Workbook, 2018, chapter 5). */
export const objectiveRules: readonly GuideRule[] = burns.map(
  ({ name, times, longSeconds, shortSeconds, severity, spends }) => ({
    name,
    description: `the error budget of api_availability goes ${times} times as fast as it may: ${spends}`,
    conditions: [longSeconds, shortSeconds].map((seconds) =>
      condition('error_rate', 'INCREASE', seconds, times * errorBudget, {
        dividedBy: 'mplp_requests_total',
        labels: { severity: 'critical' },
      }),
    ),
    match: 'ALL',
    forSeconds: 0,
    severity,
    action: 'NONE',
  }),
);

interface OperationLine extends Omit<Line, 'says'> {
  readonly description: string;
  readonly severity: 'WARNING' | 'CRITICAL';
}

/**
 * What operators are to hear of beside the guide's lines. Backups are made every six hours and no more than an hour may be lost
 * (RPO), which WAL that is neither archived nor replayed elsewhere would be; the other figures are ours.
 */
export const operationLines: readonly OperationLine[] = [
  {
    name: 'outbox_lag',
    description: 'committed events wait for over 30 s to be handed on',
    ...{ metric: 'mplp_outbox_lag_seconds', fn: 'MAX', windowSeconds: 60, above: 30, forSeconds: 60 },
    severity: 'CRITICAL',
  },
  {
    name: 'consumer_lag',
    description: 'a module is over 60 s behind the events of another',
    ...{ metric: 'mplp_consumer_lag_seconds', fn: 'MAX', windowSeconds: 60, above: 60, forSeconds: 120 },
    severity: 'WARNING',
  },
  {
    name: 'dead_letter_growth',
    description: 'deliveries or jobs are given up',
    ...{ metric: 'mplp_dead_letters', fn: 'SLOPE', windowSeconds: 900, above: 0 },
    severity: 'WARNING',
  },
  {
    name: 'replication_lag',
    description: 'a standby is over five minutes behind',
    ...{ metric: 'mplp_replication_lag_seconds', fn: 'MAX', windowSeconds: 60, above: 300, forSeconds: 60 },
    severity: 'WARNING',
  },
  {
    name: 'wal_archive_age',
    description: 'nothing was archived for as long as may be lost: an hour',
    ...{ metric: 'mplp_wal_archive_age_seconds', fn: 'MAX', windowSeconds: 60, above: 3_600 },
    severity: 'CRITICAL',
  },
  {
    name: 'base_backup_age',
    description: 'the last base backup is older than seven hours',
    ...{ metric: 'mplp_base_backup_age_seconds', fn: 'MAX', windowSeconds: 60, above: 25_200 },
    severity: 'CRITICAL',
  },
];

/** All of them, as rules. */
export function allGuideRules(): readonly GuideRule[] {
  const lines = resourceLines.map(
    ({ name, says, metric, fn, windowSeconds, above, forSeconds, also = [] }): GuideRule => ({
      name,
      description: `${name}: "${says}"`,
      conditions: [condition(metric, fn, windowSeconds, above, each), ...also],
      forSeconds: forSeconds ?? 0,
      severity: 'WARNING',
      action: 'NONE',
    }),
  );
  const operations = operationLines.map(
    ({ name, description, metric, fn, windowSeconds, above, forSeconds, severity }): GuideRule => ({
      name,
      description,
      conditions: [condition(metric, fn, windowSeconds, above)],
      forSeconds: forSeconds ?? 0,
      severity,
      action: 'NONE',
    }),
  );
  return [...guideRules, ...objectiveRules, ...lines, ...operations];
}

/** Gives the operators' tenant the guide's rules, each where it has none of the name, as they are now; what they made of them stays. */
export async function ensureGuideRules(sql: Sql, operatorTenant: string): Promise<void> {
  for (const guided of allGuideRules()) {
    const rule: NewRule = {
      match: 'ANY',
      ...guided,
      tenantId: operatorTenant,
      id: derivedId(`guide rule ${guided.name}`),
      channels: [],
      enabled: true,
      createdBy: 'platform',
    };
    await writeRule(sql, rule, 'keep');
    await renewRule(sql, rule);
  }
}
