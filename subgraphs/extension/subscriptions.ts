import { findPlace, followSight } from '#shared/contextSight.ts';
import { encodeCursor } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import type { AdmissionDeps, EphemeralEvent, EventGate, EventRow, StreamSubscription } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import { findVerdicts } from './access.ts';
import { extensionPayload, invocationPayload } from './payload.ts';
import type { ExtensionExecutionRow, ExtensionRow } from './rows.ts';

function place(event: EventRow | EphemeralEvent) {
  const sequence = 'sequence' in event ? event.sequence : 0;
  return { cursor: encodeCursor(event.streamId, sequence), sequence, timestamp: event.createdAt };
}

/** Until its context is closed to who follows. @throws {NOT_FOUND} for what is unknown, and what lies in a private context of others */
async function admit(
  principal: Principal,
  table: 'extension' | 'capability',
  id: unknown,
  { sql }: AdmissionDeps,
): Promise<EventGate> {
  const { tenantId } = principal;
  const found = await findPlace(sql, { schema: 'extension', table }, { tenantId, id });
  const contextId = found?.contextId ?? null;
  const verdict = contextId === null ? null : (await findVerdicts(sql, principal, [contextId])).get(contextId);
  if (found === undefined || verdict === true)
    throw new PlatformError('NOT_FOUND', `no such ${table}`, { path: [`${table}Id`] });
  const sees = followSight(principal, found);
  return { decide: (event) => (sees(event) ? 'deliver' : 'end') };
}

/** Fields of `Subscription` that the extension module feeds. */
export const extensionSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  extensionStatusUpdated: {
    module: 'extension',
    kind: 'stream',
    streamId: (args) => String(args['extensionId']),
    types: ['extension.*'],
    payload(event) {
      const extension = event.data['extension'] as ExtensionRow;
      const { type, data } = (event.data['emitted'] ?? {}) as { readonly type?: string; readonly data?: unknown };
      return {
        ...place(event),
        extensionId: event.streamId,
        type: type ?? event.type,
        actor: event.actor,
        status: extension.status.toUpperCase(),
        runtimeState: extension.runtimeState.toUpperCase(),
        version: extension.version,
        data: data ?? null,
        extension: extensionPayload(extension),
      };
    },
    admit: (principal, args, deps) => admit(principal, 'extension', args['extensionId'], deps),
  },

  capabilityInvoked: {
    module: 'extension',
    kind: 'stream',
    streamId: (args) => String(args['capabilityId']),
    types: ['capability.invoked'],
    payload: (event) => ({ ...place(event), ...invocationPayload(event.data['execution'] as ExtensionExecutionRow) }),
    admit: (principal, args, deps) => admit(principal, 'capability', args['capabilityId'], deps),
  },
};
