import { type CapturedError, capturedType, errorStream } from '#shared/errorCapture/capture.ts';
import type { StreamSubscription } from '#shared/events.ts';

export const errorSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  errorCaptured: {
    module: 'platform',
    kind: 'ephemeral',
    streamId: (_args, principal) => errorStream(principal.tenantId),
    types: [capturedType],
    payload({ data, createdAt }) {
      const { tenantId: _tenant, atMs: _at, ...error } = data['error'] as CapturedError;
      return { __typename: 'PlatformError', ...error, occurredAt: createdAt };
    },
    async admit(_principal, args) {
      const severities = args['severities'] as readonly string[] | null | undefined;
      return {
        decide: ({ data }) =>
          severities == null || severities.includes((data['error'] as CapturedError | undefined)?.severity ?? '')
            ? 'deliver'
            : 'skip',
      };
    },
  },
};
