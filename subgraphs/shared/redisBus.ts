import { randomUUID } from 'node:crypto';
import { RedisPubSub } from 'graphql-redis-subscriptions';
import { Redis } from 'ioredis';
import { subgraphNames } from '../names.ts';
import { type Bus, type BusMessage, createListenerSet, groupByModule } from './bus.ts';
import type { Logger } from './telemetry.ts';

interface Envelope {
  /** Instance that sent it: it has dispatched to its own listeners already. */
  readonly from: string;
  readonly messages: readonly BusMessage[];
}

export interface RedisBusOptions {
  readonly url: string;
  readonly logger: Logger;
  readonly onListenerError: (error: unknown) => void;
}

/** Messages of one PUBLISH at most: far cheaper than one each, and still small for a slow link. */
const maxMessagesPerPublish = 100;

function channelOf(module: string): string {
  return `mplp:events:${module}`;
}

/**
 * The bus between instances: listeners of this process are called at once, the others hear through Redis, many
 * messages a PUBLISH. Redis may vanish at any time: `connected` says so, and readers poll the event tables meanwhile.
 */
export async function createRedisBus(options: RedisBusOptions): Promise<Bus> {
  const { logger } = options;
  const instance = randomUUID();
  const listeners = createListenerSet(options.onListenerError);
  const connect = () =>
    new Redis(options.url, {
      // While Redis is away a publish fails at once instead of piling up: PostgreSQL has the events.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      lazyConnect: true,
      connectTimeout: 2_000,
      retryStrategy: (attempt) => Math.min(50 * attempt, 1_000),
    });
  const publisher = connect();
  const subscriber = connect();
  let reported = false;
  for (const client of [publisher, subscriber]) {
    client.on('error', (error: Error) => {
      if (!reported) logger.warn({ error: error.message }, 'redis is not reachable; instances poll the event tables');
      reported = true;
    });
    client.on('ready', () => {
      reported = false;
    });
  }
  const envelopeStart = `{"from":${JSON.stringify(instance)},"messages":`;
  const ownStart = Buffer.from(envelopeStart);
  const ownEnvelope: Envelope = { from: instance, messages: [] };
  const pubsub = new RedisPubSub({
    publisher,
    subscriber,
    // Messages are text already. Not bytes: buffers of this size, by the thousand, bring on a collection of the whole heap.
    serializer: (text: string) => text,
    // As the bytes they come in; else each is made a string, bytes again and a string once more.
    messageEventName: 'messageBuffer',
    deserializer: (source: Buffer | string) => {
      // Redis tells everyone, the sender too: what this instance has dispatched already need not be read.
      if (typeof source !== 'string' && ownStart.equals(source.subarray(0, ownStart.length))) return ownEnvelope;
      return JSON.parse(source.toString());
    },
  });
  const onEnvelope = (envelope: Envelope) => {
    if (envelope.from !== instance) listeners.dispatch(envelope.messages);
  };
  let subscriptions: Promise<number>[] = [];
  let listening = false;
  const listen = async () => {
    listening = false;
    try {
      if (subscriptions.length === 0) {
        subscriptions = subgraphNames.map((name) => pubsub.subscribe(channelOf(name), onEnvelope));
      }
      await Promise.all(subscriptions);
      listening = true;
    } catch (error) {
      subscriptions = [];
      logger.debug({ error: String(error) }, 'bus not subscribed yet');
    }
  };
  // ioredis renews subscriptions it had; the first ones may have failed while Redis was away.
  subscriber.on('ready', () => void listen());
  subscriber.on('close', () => {
    listening = false;
  });
  await Promise.all([publisher, subscriber].map((client) => client.connect().catch(() => {})));

  let outgoing = new Map<string, BusMessage[]>();
  let scheduled = false;
  const flush = () => {
    scheduled = false;
    const ready = outgoing;
    outgoing = new Map();
    for (const [module, messages] of ready) {
      for (let from = 0; from < messages.length; from += maxMessagesPerPublish) {
        const part = JSON.stringify(messages.slice(from, from + maxMessagesPerPublish));
        pubsub.publish(channelOf(module), `${envelopeStart}${part}}`).catch(() => {});
      }
    }
  };

  return {
    get connected() {
      return listening && subscriber.status === 'ready' && publisher.status === 'ready';
    },
    publish(messages) {
      for (const [module, group] of groupByModule(messages)) {
        const list = outgoing.get(module);
        if (list) list.push(...group);
        else outgoing.set(module, [...group]);
      }
      if (!scheduled) {
        scheduled = true;
        setImmediate(flush);
      }
      listeners.dispatch(messages);
    },
    subscribe: (module, listener) => listeners.add(module, listener),
    async close() {
      flush();
      publisher.disconnect();
      subscriber.disconnect();
    },
  };
}
