import { seesPrivate } from '#shared/contextAudience.ts';
import { findPlace, followSight } from '#shared/contextSight.ts';
import { encodeCursor } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import type { AdmissionDeps, StreamSubscription } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { findClosedContexts, requireVisible, viewerOf } from './access.ts';
import { type AlertAccess, alertStream } from './alerts/events.ts';
import { type AlertRow, alertState } from './alerts/rows.ts';
import { type LiveEvent, liveStream, liveType } from './live/live.ts';
import { noSuchTrace } from './noSuchTrace.ts';
import { phaseOf } from './records/kinds.ts';
import type { TraceRow } from './rows.ts';

const alertChanges: Readonly<Record<string, string>> = {
  'trace.alert.raised': 'RAISED',
  'trace.alert.acknowledged': 'ACKNOWLEDGED',
  'trace.alert.resolved': 'RESOLVED',
};

/** What an event says was done to its trace. */
function operationOf(type: string): 'START' | 'RECORD' | 'ANALYZE' | 'ARCHIVE' | 'UPDATE' {
  if (type === 'trace.created') return 'START';
  if (type === 'trace.analyzed') return 'ANALYZE';
  if (type === 'trace.archived' || type === 'trace.unarchived') return 'ARCHIVE';
  return /^trace\.(span|spans|events|metrics)\./.test(type) ? 'RECORD' : 'UPDATE';
}

/** True of a context that only some see, who the principal is none of. */
function isClosedTo(principal: Principal, access: AlertAccess | null, contextId: string | null | undefined): boolean {
  return access !== null && !seesPrivate(access, principal, contextId);
}

/** Contexts of the tenant that the principal does not see at the moment. */
async function findClosed(principal: Principal, { sql }: AdmissionDeps): Promise<ReadonlySet<string>> {
  const viewer = viewerOf(principal);
  return new Set(viewer === null ? [] : await findClosedContexts(sql, principal.tenantId, viewer));
}

async function isKnownContext(principal: Principal, contextId: unknown, { sql }: AdmissionDeps): Promise<boolean> {
  if (!isId(contextId)) return false;
  const found = await sql.unsafe(
    `SELECT 1 FROM trace.replica WHERE tenant_id = $1 AND type = 'Context' AND id = $2`,
    [principal.tenantId, contextId],
    { prepare: true },
  );
  return found.length > 0;
}

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
    async admit(principal, _args, deps) {
      // Contexts that were made private after their alerts: a replay tells nothing of them either.
      const closed = await findClosed(principal, deps);
      return {
        decide(event) {
          if (viewerOf(principal) === null) return 'deliver';
          const { contextId } = (event.data['alert'] ?? {}) as Partial<AlertRow>;
          const hidden = isClosedTo(principal, event.data['access'] as AlertAccess | null, contextId);
          return hidden || (contextId != null && closed.has(contextId)) ? 'skip' : 'deliver';
        },
      };
    },
  },
  realtimeMetrics: {
    module: 'trace',
    kind: 'ephemeral',
    streamId: (_args, principal) => liveStream(principal.tenantId),
    types: [liveType],
    payload({ data }) {
      const { window, from, to } = data as unknown as LiveEvent;
      const { tenantId: _tenant, ...told } = window;
      return { ...told, from, to };
    },
    async admit(principal, { contextId: asked }, deps) {
      const closed = await findClosed(principal, deps);
      if (asked != null && (closed.has(String(asked)) || !(await isKnownContext(principal, asked, deps))))
        throw new PlatformError('NOT_FOUND', 'no such context', { path: ['contextId'] });
      return {
        decide({ data }) {
          const { window, access } = data as unknown as LiveEvent;
          if (window === undefined || (asked != null && window.contextId !== asked)) return 'skip';
          return viewerOf(principal) !== null && isClosedTo(principal, access, window.contextId) ? 'skip' : 'deliver';
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
        operation: operationOf(event.type),
        traceId: event.streamId,
        timestamp: event.createdAt,
        actor: event.actor,
        status: status.toUpperCase(),
        spanCount,
        errorCount,
        events: ((event.data['events'] ?? []) as readonly { readonly id: string; readonly type: string }[]).map(
          ({ id, type }) => ({ id, type, phase: phaseOf(type)?.toUpperCase() ?? null }),
        ),
      };
    },
    async admit(principal, args, { sql }) {
      const id = args['traceId'];
      const found = await findPlace(sql, { schema: 'trace', table: 'trace' }, { tenantId: principal.tenantId, id });
      if (!found) throw noSuchTrace();
      await requireVisible(sql, principal, [String(id)]);
      const sees = followSight(principal, found);
      let over = false;
      return {
        decide(event) {
          if (over || !sees(event)) return 'end';
          over = event.type === 'trace.deleted';
          return 'deliver';
        },
      };
    },
  },
};
