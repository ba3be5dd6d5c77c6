import { encodeCursor } from '#shared/cursor.ts';
import type { StreamSubscription } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import { holdsIn } from '#shared/rights.ts';
import { findClosedContexts, requireVisible, viewerOf } from './access.ts';
import type { Access } from './accessChanges.ts';
import { type AlertAccess, alertStream } from './alerts/events.ts';
import { type AlertRow, alertState } from './alerts/rows.ts';
import { noSuchTrace } from './noSuchTrace.ts';
import type { TraceRow } from './rows.ts';

const alertChanges: Readonly<Record<string, string>> = {
  'trace.alert.raised': 'RAISED',
  'trace.alert.acknowledged': 'ACKNOWLEDGED',
  'trace.alert.resolved': 'RESOLVED',
};

/** Fields of `Subscription` that the trace module feeds. */
export const traceSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  anomalyAlerts: {
    module: 'trace',
    kind: 'stream',
    streamId: (_args, principal) => alertStream(principal.tenantId),
    types: Object.keys(alertChanges),
    payload(event) {
      const { tenantId: _tenant, ...alert } = event.data['alert'] as AlertRow;
      const sequence = 'sequence' in event ? event.sequence : 0;
      return {
        cursor: encodeCursor(event.streamId, sequence),
        sequence,
        change: alertChanges[event.type],
        timestamp: event.createdAt,
        alert: { __typename: 'TraceAlert', ...alert, state: alertState(event.data['alert'] as AlertRow) },
      };
    },
    async admit(principal, _args, { sql }) {
      const viewer = viewerOf(principal);
      // Contexts that were made private after their alerts: a replay tells nothing of them either.
      const closed = new Set(viewer === null ? [] : await findClosedContexts(sql, principal.tenantId, viewer));
      return {
        decide(event) {
          if (viewer === null) return 'deliver';
          const access = event.data['access'] as AlertAccess | null;
          const { contextId } = (event.data['alert'] ?? {}) as Partial<AlertRow>;
          const hidden =
            access !== null &&
            access.ownerId !== principal.subject &&
            !access.members.includes(principal.subject) &&
            !(contextId != null && holdsIn(principal, 'context:admin', contextId));
          return hidden || (contextId != null && closed.has(contextId)) ? 'skip' : 'deliver';
        },
      };
    },
  },
  traceUpdates: {
    module: 'trace',
    kind: 'stream',
    streamId: (args) => String(args['traceId']),
    types: ['trace.*'],
    payload(event) {
      const { status, spanCount, errorCount } = event.data['trace'] as TraceRow;
      const sequence = 'sequence' in event ? event.sequence : 0;
      return {
        cursor: encodeCursor(event.streamId, sequence),
        sequence,
        type: event.type,
        traceId: event.streamId,
        timestamp: event.createdAt,
        actor: event.actor,
        status: status.toUpperCase(),
        spanCount,
        errorCount,
        events: event.data['events'] ?? [],
      };
    },
    async admit(principal, args, { sql }) {
      const id = args['traceId'];
      const [found] = isId(id)
        ? ((await sql.unsafe('SELECT context_id AS "contextId" FROM trace.trace WHERE tenant_id = $1 AND id = $2', [
            principal.tenantId,
            id,
          ])) as unknown as { contextId: string | null }[])
        : [];
      if (!found) throw noSuchTrace();
      await requireVisible(sql, principal, [String(id)]);
      let over = false;
      return {
        decide(event) {
          if (over) return 'end';
          const access = event.data['access'] as Access | undefined;
          if (event.type === 'access.changed' && access?.visibility === 'PRIVATE')
            over =
              access.ownerId !== principal.subject &&
              !access.members.includes(principal.subject) &&
              !(found.contextId !== null && holdsIn(principal, 'context:admin', found.contextId));
          if (over) return 'end';
          over = event.type === 'trace.deleted';
          return 'deliver';
        },
      };
    },
  },
};
