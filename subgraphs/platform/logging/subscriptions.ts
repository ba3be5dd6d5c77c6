import type { StreamSubscription } from '#shared/events.ts';
import { type LogLevel, loggedType, logLevels, type StoredLog } from '#shared/logs/record.ts';
import { logStream } from '#shared/logs/writer.ts';

interface TailFilter {
  readonly minLevel?: LogLevel | null;
  readonly modules?: readonly string[] | null;
}

export const loggingSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  logTail: {
    module: 'platform',
    kind: 'ephemeral',
    streamId: (_args, principal) => logStream(principal.tenantId),
    types: [loggedType],
    payload({ data }) {
      const { tenantId: _tenant, ...log } = data['log'] as StoredLog;
      return { __typename: 'PlatformLog', ...log };
    },
    async admit(_principal, args) {
      const { minLevel, modules } = (args['filter'] ?? {}) as TailFilter;
      const least = minLevel == null ? 0 : logLevels[minLevel];
      return {
        decide({ data }) {
          const log = data['log'] as StoredLog | undefined;
          if (log === undefined || logLevels[log.level] < least) return 'skip';
          return modules == null || modules.includes(log.module) ? 'deliver' : 'skip';
        },
      };
    },
  },
};
