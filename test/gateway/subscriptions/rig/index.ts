import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { encodeCursor } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import { createSqlEventLog } from '#shared/eventLog.ts';
import type { EphemeralEvent, EventRow, StreamSubscription } from '#shared/events.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import { createPlanning } from '../../../../gateway/execution/planning.ts';
import type { HubConfig } from '../../../../gateway/subscriptions/config.ts';
import type { SubscriptionHubDeps } from '../../../../gateway/subscriptions/contract.ts';
import type { EventLog } from '../../../../gateway/subscriptions/eventLog.ts';
import { createSubscriptionHub } from '../../../../gateway/subscriptions/hub.ts';
import type { HubLogger } from '../../../../gateway/subscriptions/logger.ts';
import type { EventTable } from './eventTable.ts';
import { createFaultyBus } from './faultyBus.ts';
import { createTestGraph } from './graph.ts';

export const tenantId = 'acme';

export interface RigOptions {
  readonly table: EventTable;
  readonly config?: Partial<HubConfig>;
  readonly deps?: Partial<SubscriptionHubDeps>;
  /** Stands between the hub and the real log. */
  readonly wrapLog?: (log: EventLog) => EventLog;
}

/** A hub on an HTTP server, the composed test graph behind it, a faulty bus and the real event table. */
export async function createRig({ table, config, deps, wrapLog }: RigOptions) {
  const graph = createTestGraph();
  const bus = createFaultyBus();
  const log = createSqlEventLog({ sqlOf: () => table.sql });
  const counts = { started: 0, delivered: 0, replayed: 0, groups: 0, cuts: 0, filled: { live: 0, poll: 0, sweep: 0 } };
  const logged: { readonly level: string; readonly details: object; readonly message: string }[] = [];
  const logAs = (level: string) => (details: object, message: string) => void logged.push({ level, details, message });
  const logger: HubLogger = { debug: logAs('debug'), info: logAs('info'), warn: logAs('warn'), error: logAs('error') };
  const hub = createSubscriptionHub({
    planning: createPlanning(graph.supergraphSdl),
    dataSources: graph.dataSources,
    subscriptions: { messageAdded, typing },
    eventLog: wrapLog === undefined ? log : wrapLog(log),
    bus,
    sqlOf: () => table.sql,
    authenticate: ({ headers, connectionParams }) =>
      principalOf(connectionParams?.['authorization'] ?? headers.authorization),
    createRequestContext: (principal) => ({ subject: principal.subject }),
    executeOperation: async ({ query }) => {
      if (query.includes('boom')) throw new Error('secret');
      return { data: { echoed: query.includes('large') ? 'x'.repeat(100_000) : query.length } };
    },
    scopeOf: (document) => (JSON.stringify(document).includes('"viewer"') ? 'SUBJECT' : 'TENANT'),
    logger,
    metrics: {
      subscriptionStarted: () => {
        counts.started++;
      },
      delivered: (_field, count) => {
        counts.delivered += count;
      },
      replayed: (_field, events) => {
        counts.replayed += events;
      },
      groups: (count) => {
        counts.groups = count;
      },
      gapFilled: (source, events) => {
        counts.filled[source] += events;
      },
      slowConsumerCut: () => {
        counts.cuts++;
      },
    },
    config: { pollIntervalMs: 10, sweepIntervalMs: 60_000, ...config },
    ...deps,
  });
  const server = createServer((request, response) => {
    const accept = request.headers.accept ?? '';
    void (accept.startsWith('multipart/mixed')
      ? hub.handleMultipart(request, response)
      : hub.handleSse(request, response));
  });
  let writes = 0;
  server.on('upgrade', (request, socket, head) => {
    const write = socket.write.bind(socket) as (...given: unknown[]) => boolean;
    socket.write = (...given: unknown[]) => {
      writes += 1;
      return write(...given);
    };
    hub.handleUpgrade(request, socket, head);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    hub,
    bus,
    graph,
    counts,
    logged,
    /** Times the hub wrote to WebSockets. */
    get writes(): number {
      return writes;
    },
    url: `http://127.0.0.1:${port}/graphql`,
    webSocketUrl: `ws://127.0.0.1:${port}/graphql`,
    port,
    /** Commits a message without publishing it. */
    async commit(streamId: string, text: string, data: Record<string, unknown> = {}): Promise<EventRow> {
      const id = crypto.randomUUID();
      graph.texts.set(id, text);
      return table.append({ tenantId, streamId, type: 'dialog.message.sent', data: { id, text, ...data } });
    },
    /** Commits a message and publishes it. */
    async say(streamId: string, text: string, data: Record<string, unknown> = {}): Promise<EventRow> {
      const event = await this.commit(streamId, text, data);
      bus.publish([event]);
      return event;
    },
    async close() {
      await hub.close({ deadlineMs: 500 });
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type Rig = Awaited<ReturnType<typeof createRig>>;

/** `Bearer subject[:expiresAtMs]`. */
export function principalOf(authorization: unknown): Principal {
  if (typeof authorization !== 'string' || !authorization.startsWith('Bearer ')) {
    throw new PlatformError('UNAUTHENTICATED', 'A bearer token is needed.');
  }
  const [subject = '', expiresAt] = authorization.slice('Bearer '.length).split('@');
  const tenant = subject.startsWith('foreign') ? 'other' : tenantId;
  return createPrincipal({
    tenantId: tenant,
    subject,
    scopes: ['dialog:read'],
    ...(expiresAt === undefined ? {} : { expiresAtMs: Number(expiresAt) }),
  });
}

const dialogIdOf = (args: Readonly<Record<string, unknown>>): string => String(args['dialogId']);

const admit: StreamSubscription['admit'] = async (principal, args, { sql }) => {
  const rows =
    await sql`select 1 from dialog.stream_head where tenant_id = ${principal.tenantId} and stream_id = ${dialogIdOf(args)}::uuid`;
  if (rows.length === 0) throw new PlatformError('NOT_FOUND', 'No such dialog.');
  return {
    decide(event) {
      if (event.type === 'dialog.participant.removed' && event.data['subject'] === principal.subject) return 'end';
      if (event.data['hiddenFrom'] === principal.subject) return 'skip';
      return 'deliver';
    },
  };
};

const messageAdded: StreamSubscription = {
  module: 'dialog',
  kind: 'stream',
  streamId: dialogIdOf,
  types: ['dialog.message.*'],
  payload(event) {
    if (!('sequence' in event)) throw new Error('messages are events of a stream');
    if (event.data['poison'] === true) throw new Error('cannot be shown');
    return {
      cursor: encodeCursor(event.streamId, event.sequence),
      sequence: event.sequence,
      message: event.data,
    };
  },
  admit,
};

const typing: StreamSubscription = {
  module: 'dialog',
  kind: 'ephemeral',
  streamId: dialogIdOf,
  types: ['dialog.typing'],
  payload: (event: EventRow | EphemeralEvent) => ({ subject: event.actor }),
  admit,
};
