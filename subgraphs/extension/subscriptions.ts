import { findConditionalAccess, followSight } from '#shared/contextSight.ts';
import { encodeCursor } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import type { AdmissionDeps, EphemeralEvent, EventGate, EventRow, StreamSubscription } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { findVerdicts } from './access.ts';
import { extensionPayload, invocationPayload } from './payload.ts';
import type { ExtensionExecutionRow, ExtensionRow } from './rows.ts';
import { findCapabilities, findExtensions } from './store.ts';

function place(event: EventRow | EphemeralEvent) {
  const sequence = 'sequence' in event ? event.sequence : 0;
  return { cursor: encodeCursor(event.streamId, sequence), sequence, timestamp: event.createdAt };
}

/** Until its context is closed to who follows. @throws {NOT_FOUND} for what is unknown, and what lies in a private context of others */
async function admit(
  principal: Principal,
  row: { readonly contextId: string } | undefined,
  { sql }: AdmissionDeps,
  name: string,
): Promise<EventGate> {
  const verdict = row && (await findVerdicts(sql, principal, [row.contextId])).get(row.contextId);
  if (row === undefined || verdict === true)
    throw new PlatformError('NOT_FOUND', `no such ${name}`, { path: [`${name}Id`] });
  const { contextId } = row;
  const { tenantId } = principal;
  const access = verdict === false ? await findConditionalAccess(sql, 'extension', { tenantId, contextId }) : null;
  const sees = followSight(principal, { contextId, access });
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
    async admit(principal, args, deps) {
      const id = args['extensionId'];
      const [row] = isId(id) ? await findExtensions(deps.sql, principal.tenantId, [id]) : [];
      return admit(principal, row, deps, 'extension');
    },
  },

  capabilityInvoked: {
    module: 'extension',
    kind: 'stream',
    streamId: (args) => String(args['capabilityId']),
    types: ['capability.invoked'],
    payload: (event) => ({ ...place(event), ...invocationPayload(event.data['execution'] as ExtensionExecutionRow) }),
    async admit(principal, args, deps) {
      const id = args['capabilityId'];
      const [row] = isId(id) ? await findCapabilities(deps.sql, principal.tenantId, [id]) : [];
      return admit(principal, row, deps, 'capability');
    },
  },
};
