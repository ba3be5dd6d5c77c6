import { encodeCursor } from '#shared/cursor.ts';
import type { StreamSubscription } from '#shared/events.ts';
import { type AlertRow, alertChanges, alertStream, toAlert } from './alerts.ts';
import { metricStream, metricType } from './recording.ts';

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
  alertFired: {
    module: 'platform',
    kind: 'stream',
    streamId: (_args, principal) => alertStream(principal.tenantId),
    types: Object.keys(alertChanges),
    payload(event) {
      const sequence = 'sequence' in event ? event.sequence : 0;
      return {
        cursor: encodeCursor(event.streamId, sequence),
        sequence,
        change: alertChanges[event.type as keyof typeof alertChanges],
        timestamp: event.createdAt,
        alert: { __typename: 'PlatformAlert', ...toAlert(event.data['alert'] as AlertRow) },
      };
    },
    admit: async () => ({ decide: () => 'deliver' }),
  },
};
