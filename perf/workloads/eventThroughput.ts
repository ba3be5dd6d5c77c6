import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { type Bus, createLocalBus } from '#shared/bus.ts';
import { createSqlEventLog } from '#shared/eventLog.ts';
import type { EventRow } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import { createRedisBus } from '#shared/redisBus.ts';
import { createSql } from '#shared/sql.ts';
import { createLogger } from '#shared/telemetry.ts';
import { createPlanning } from '../../gateway/execution/planning.ts';
import { defaultHubConfig } from '../../gateway/subscriptions/config.ts';
import { createErrorFormatter } from '../../gateway/subscriptions/errors.ts';
import { createStreamFeed } from '../../gateway/subscriptions/feed.ts';
import { createGroupRegistry } from '../../gateway/subscriptions/groups.ts';
import { silentMetrics } from '../../gateway/subscriptions/metrics.ts';
import { createOperationCatalog } from '../../gateway/subscriptions/operation.ts';
import { createSubscriptionPlanner } from '../../gateway/subscriptions/planner.ts';
import { Subscriber } from '../../gateway/subscriptions/subscriber.ts';
import { createTickFlusher } from '../../gateway/subscriptions/tick.ts';
import { dialogSubscriptions } from '../../subgraphs/dialog/subscriptions.ts';
import { createZipf } from '../load/sampler.ts';
import type { CreateWorkload, Verdict, Workload } from '../load/workload.ts';

export interface EventThroughputParams {
  readonly databaseUrl: string;
  readonly streams: number;
  readonly eventsPerBatch: number;
  /** With it the hub hears the events of another instance's bus. */
  readonly redisUrl?: string;
  /** An emitter, or a client of Redis, and JSON in place of bus and hub: what the machine gives. */
  readonly isBare?: boolean;
}

const tenantId = 'perf';
const bareChannel = 'perf:bare';
const timeoutMs = 10_000;
const text = 'x'.repeat(600);
const subscription = `subscription OnMessage($id: ID!) {
  messageReceived(dialogId: $id) { cursor kind timestamp message { id sequence senderSubject type content { text } sentAt } }
}`;
const principal: Principal = {
  tenantId,
  subject: 'agent-1',
  subjectType: 'agent',
  roles: ['agent'],
  scopes: ['dialog:read'],
  permissionKey: 'dialog:read',
};

function fail(error: unknown): never {
  throw error;
}

async function openBuses(redisUrl: string | undefined): Promise<{ sender: Bus; receiver: Bus }> {
  if (redisUrl === undefined) {
    const bus = createLocalBus(fail);
    return { sender: bus, receiver: bus };
  }
  const options = { url: redisUrl, logger: createLogger('silent'), onListenerError: fail };
  return { sender: await createRedisBus(options), receiver: await createRedisBus(options) };
}

/**
 * Events through a bus and the groups of the hub, with the real planner, projector and event log, up to the serialised
 * result handed to one subscriber of each stream: all but the socket. An operation is a batch, done when all of it came.
 */
export const createWorkload: CreateWorkload<EventThroughputParams> = (params) => {
  const streamIds = Array.from({ length: params.streams }, () => randomUUID());
  return drive(params, streamIds, params.isBare === true ? openBare : openHub);
};

interface Engine {
  publish(events: readonly EventRow[]): void;
  close(): Promise<void>;
}

/** Makes an engine that tells `heard` of each event that has become text for its subscriber, by its bytes. */
type OpenEngine = (
  params: EventThroughputParams,
  streamIds: readonly string[],
  heard: (bytes: number) => void,
) => Promise<Engine>;

/** The same events and the same bytes by an emitter, or by PUBLISH and SUBSCRIBE, a batch each, and nothing else. */
const openBare: OpenEngine = async ({ redisUrl }, streamIds, heard) => {
  const emitter = new EventEmitter();
  for (const streamId of streamIds) {
    emitter.on(streamId, ({ sequence, createdAt, data }: EventRow) => {
      const { id, senderSubject, type, text: content } = data['message'] as Record<string, unknown>;
      const message = { id, sequence, senderSubject, type, content: { text: content }, sentAt: createdAt };
      const messageReceived = { cursor: String(sequence), kind: 'MESSAGE', timestamp: createdAt, message };
      heard(Buffer.byteLength(JSON.stringify({ data: { messageReceived } })));
    });
  }
  const dispatch = (events: readonly EventRow[]): void => {
    for (const event of events) emitter.emit(event.streamId, event);
  };
  if (redisUrl === undefined) return { publish: dispatch, close: async () => {} };
  const [publisher, subscriber] = [new Redis(redisUrl), new Redis(redisUrl)];
  subscriber.on('message', (_channel: string, text: string) => dispatch(JSON.parse(text) as EventRow[]));
  await subscriber.subscribe(bareChannel);
  return {
    publish: (events) => void publisher.publish(bareChannel, JSON.stringify(events)).catch(fail),
    async close() {
      publisher.disconnect();
      subscriber.disconnect();
    },
  };
};

const openHub: OpenEngine = async (params, streamIds, heard) => {
  const { sender, receiver } = await openBuses(params.redisUrl);
  const sql = createSql(params.databaseUrl, { max: 4, applicationName: 'perf-events' });
  const logger = createLogger('silent');
  const formatError = createErrorFormatter(logger);
  const supergraph = readFileSync(new URL('../../schema/supergraph.graphql', import.meta.url), 'utf8');
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const planner = createSubscriptionPlanner(createPlanning(supergraph), {}, silent);
  const catalog = createOperationCatalog({
    planner,
    subscriptions: dialogSubscriptions,
    scopeOf: () => 'ROLE',
    maxDocumentTokens: defaultHubConfig.maxDocumentTokens,
    operationCacheSize: defaultHubConfig.operationCacheSize,
  });
  const feed = createStreamFeed({
    bus: receiver,
    eventLog: createSqlEventLog({ sqlOf: () => sql }),
    modules: ['dialog'],
    pageSize: defaultHubConfig.replayPageSize,
    recentEvents: defaultHubConfig.recentEvents,
    recentBytes: defaultHubConfig.recentBytes,
    pollIntervalMs: defaultHubConfig.pollIntervalMs,
    // Nothing of these streams is in the log, so a sweep finds their heads behind: it is not part of what is measured.
    sweepIntervalMs: 3_600_000,
    logger,
    metrics: silentMetrics,
  });
  const groups = createGroupRegistry({
    planner,
    feed,
    createRequestContext: () => ({}),
    restTimeoutMs: defaultHubConfig.restTimeoutMs,
    recentPayloads: defaultHubConfig.recentEvents,
    formatError,
    metrics: silentMetrics,
    flusher: createTickFlusher(fail),
  });
  const operation = catalog.prepare({ query: subscription });
  if (operation.kind !== 'subscription') throw new Error('expected a subscription');

  for (const streamId of streamIds) {
    const hold = groups.hold({ compiled: operation.compiled, variables: { id: streamId }, streamId, principal });
    await hold.group.follower.opened;
    const subscriber = new Subscriber({
      group: hold.group,
      gate: { decide: () => 'deliver' },
      sink: {
        // As the writer of a WebSocket takes it.
        next: (payload) => heard(payload.latin1.length),
        flush: () => {},
        fail,
        cut: fail,
        complete: () => {},
        bufferedBytes: 0,
        drained: async () => 'drained',
      },
      principal,
      connection: {
        transport: 'websocket',
        remoteAddress: undefined,
        address: undefined,
        headers: {},
        correlationId: () => 'measured',
      },
      position: 0,
      maxBufferedBytes: defaultHubConfig.maxBufferedBytes,
      maxReplayAgeMs: defaultHubConfig.maxReplayAgeMs,
      slowConsumerGraceMs: defaultHubConfig.slowConsumerGraceMs,
      onHanded: () => {},
      formatError,
      metrics: silentMetrics,
      onEnd: () => {},
    });
    subscriber.start();
  }
  return {
    publish: (events) => sender.publish(events),
    async close() {
      feed.close();
      await sender.close();
      if (receiver !== sender) await receiver.close();
      await sql.end();
    },
  };
};

async function drive(params: EventThroughputParams, streamIds: readonly string[], open: OpenEngine): Promise<Workload> {
  const { streams, eventsPerBatch } = params;
  const sequences = new Uint32Array(streams);
  let heard = 0;
  let bytes = 0;
  /** Batches that wait, with the count of events at which each is through. */
  const waiting: { at: number; resolve: () => void }[] = [];
  const engine = await open(params, streamIds, (length) => {
    heard += 1;
    bytes += length;
    while (waiting[0] && waiting[0].at <= heard) waiting.shift()!.resolve();
  });
  const zipf = createZipf(streams);
  let sent = 0;

  function nextEvent(stream: number): EventRow {
    const sequence = sequences[stream]! + 1;
    sequences[stream] = sequence;
    const dialogId = streamIds[stream]!;
    const createdAt = new Date().toISOString();
    const message = {
      tenantId,
      id: randomUUID(),
      dialogId,
      threadId: null,
      sequence,
      senderId: randomUUID(),
      senderSubject: 'agent-1',
      senderType: 'AGENT',
      role: 'agent',
      type: 'TEXT',
      text,
      structuredData: null,
      mentions: [],
      hashtags: [],
      language: null,
      replyTo: null,
      topic: null,
      priority: 'NORMAL',
      requiresResponse: false,
      responseDeadline: null,
      recipients: null,
      recipientCount: 9,
      attachments: [],
      reactions: [],
      aiProcessing: null,
      clientMessageId: null,
      protocol: null,
      revision: 1,
      createdAt,
      editedAt: null,
      deletedAt: null,
      deletedBy: null,
    };
    return {
      tenantId,
      module: 'dialog',
      streamId: dialogId,
      sequence,
      eventId: randomUUID(),
      type: 'dialog.message.sent',
      actor: 'agent-1',
      data: { message },
      tags: [`Message:${message.id}`],
      createdAt,
    };
  }

  return {
    operations: [
      {
        name: 'event',
        weight: 1,
        call(random) {
          const batch = Array.from({ length: eventsPerBatch }, () => nextEvent(zipf.sample(random)));
          sent += batch.length;
          const at = sent;
          return new Promise<Verdict>((resolve) => {
            const timer = setTimeout(() => resolve(`${heard} of ${at} events came in ${timeoutMs} ms`), timeoutMs);
            waiting.push({
              at,
              resolve() {
                clearTimeout(timer);
                resolve(true);
              },
            });
            engine.publish(batch);
          });
        },
      },
    ],
    facts: () => ({ heard, bytesPerEvent: heard === 0 ? 0 : bytes / heard }),
    close: () => engine.close(),
  };
}
