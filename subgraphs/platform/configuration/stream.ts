import { encodeCursor } from '#shared/cursor.ts';
import type { StreamSubscription } from '#shared/events.ts';
import { configStream } from './entries.ts';
import { type ConfigRow, shownConfig } from './rows.ts';

const changes: Readonly<Record<string, string>> = {
  'config.set': 'SET',
  'config.deleted': 'DELETED',
  'config.rolled.back': 'ROLLED_BACK',
};

/** Changes of the tenant's own values, and for the operator's tenant of those that hold for all. */
export const configChanged: StreamSubscription = {
  module: 'platform',
  kind: 'stream',
  streamId: (_args, { tenantId }) => configStream(tenantId),
  types: Object.keys(changes),
  payload(event) {
    const sequence = 'sequence' in event ? event.sequence : 0;
    const entry = event.data['entry'] as ConfigRow;
    return {
      cursor: encodeCursor(event.streamId, sequence),
      sequence,
      change: changes[event.type],
      actor: event.actor,
      timestamp: event.createdAt,
      entry: { __typename: 'PlatformConfigEntry', ...shownConfig(entry) },
    };
  },
  async admit(_principal, { prefix }) {
    return {
      decide(event) {
        const entry = event.data['entry'] as ConfigRow | undefined;
        return entry?.key.startsWith(typeof prefix === 'string' ? prefix : '') ? 'deliver' : 'skip';
      },
    };
  },
};
