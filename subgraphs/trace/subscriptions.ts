import { encodeCursor } from '#shared/cursor.ts';
import type { StreamSubscription } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import { holdsIn } from '#shared/rights.ts';
import { requireVisible } from './access.ts';
import type { Access } from './accessChanges.ts';
import { noSuchTrace } from './noSuchTrace.ts';
import type { TraceRow } from './rows.ts';

/** Fields of `Subscription` that the trace module feeds. */
export const traceSubscriptions: Readonly<Record<string, StreamSubscription>> = {
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
