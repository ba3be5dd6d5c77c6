import { encodeCursor } from '#shared/cursor.ts';
import type { EphemeralEvent, EventRow, StreamSubscription } from '#shared/events.ts';
import { type AlertRow, alertChanges, alertStream, toAlert } from './alerts.ts';
import { metricStream, metricType } from './recording.ts';

/** What the platform measures of its own speed and of what it takes; what tenants record themselves is none of it. */
const isOfPerformance = (metric: string): boolean =>
  metric.startsWith('mplp_') ||
  metric.startsWith('nodejs_') ||
  ['api_response_time', 'requests_per_second', 'cpu_usage_percent', 'memory_usage_bytes'].includes(metric);

function alertUpdate(event: EventRow | EphemeralEvent) {
  const sequence = 'sequence' in event ? event.sequence : 0;
  return {
    cursor: encodeCursor(event.streamId, sequence),
    sequence,
    change: alertChanges[event.type as keyof typeof alertChanges],
    timestamp: event.createdAt,
    alert: { __typename: 'PlatformAlert', ...toAlert(event.data['alert'] as AlertRow) },
  };
}

export const monitoringSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  metricUpdated: {
    module: 'platform',
    kind: 'ephemeral',
    streamId: (_args, principal) => metricStream(principal.tenantId),
    types: [metricType],
    payload: ({ data, createdAt }) => ({ ...data, timestamp: createdAt }),
    async admit(_principal, args) {
      const names = args['names'] as readonly string[] | null | undefined;
      return { decide: ({ data }) => (names == null || names.includes(String(data['name'])) ? 'deliver' : 'skip') };
    },
  },
  performanceAlert: {
    module: 'platform',
    kind: 'stream',
    streamId: (_args, principal) => alertStream(principal.tenantId),
    types: Object.keys(alertChanges),
    payload: alertUpdate,
    async admit(_principal, args) {
      const severities = args['severities'] as readonly string[] | null | undefined;
      return {
        decide({ data }) {
          const { metric, severity } = data['alert'] as AlertRow;
          return isOfPerformance(metric) && (severities == null || severities.includes(severity)) ? 'deliver' : 'skip';
        },
      };
    },
  },
  alertFired: {
    module: 'platform',
    kind: 'stream',
    streamId: (_args, principal) => alertStream(principal.tenantId),
    types: Object.keys(alertChanges),
    payload: alertUpdate,
    admit: async () => ({ decide: () => 'deliver' }),
  },
};
