import type { GraphQLFormattedError } from 'graphql';
import { encodeCursor } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EphemeralEvent, EventGate, EventRow } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import type { FormatError } from './errors.ts';
import type { Group } from './group.ts';
import type { HubMetrics, Transport } from './metrics.ts';
import type { Payload } from './payload.ts';
import type { Sink } from './sink.ts';

/** Where a client comes from, as far as a request context may want to know. */
export interface ConnectionInfo {
  readonly transport: Transport;
  readonly remoteAddress: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface SubscriberOptions {
  readonly group: Group;
  readonly gate: EventGate;
  readonly sink: Sink;
  readonly principal: Principal;
  readonly connection: ConnectionInfo;
  /** Sequence after which it begins. */
  readonly position: number;
  readonly maxBufferedBytes: number;
  readonly maxReplayAgeMs: number;
  readonly slowConsumerGraceMs: number;
  readonly formatError: FormatError;
  readonly metrics: HubMetrics;
  onEnd(): void;
}

/**
 * One operation of one client. It replays from its position until it has caught up with its stream, then takes part
 * in its group; in both phases its gate sees every event once and in order.
 */
export function createSubscriber(options: SubscriberOptions) {
  const { sink, metrics } = options;
  let { group, gate } = options;
  let catchingUp = false;
  let started = false;
  let position = options.position;
  let ended = false;
  let replayed = 0;

  /** Gives the event to the gate, and the result to the client if the gate lets it. True when it was sent. */
  function offer(event: EventRow | EphemeralEvent, payload: Payload | undefined): boolean {
    if (ended) return false;
    const sequence = 'sequence' in event ? event.sequence : undefined;
    if (sequence !== undefined && sequence <= position) return false;
    const decision = decide(event);
    if (decision === undefined || ended) return false;
    if (decision === 'end') {
      end();
      sink.complete();
      return false;
    }
    let sent = false;
    if (decision === 'deliver' && payload !== undefined) {
      const waiting = sink.bufferedBytes + payload.bytes.length;
      if (sequence === undefined) {
        // What passes by may be missed: a slow client loses it before its streams suffer.
        sent = waiting <= options.maxBufferedBytes / 2;
        if (sent) sink.next(payload);
      } else if (waiting > options.maxBufferedBytes) {
        cut();
        return false;
      } else {
        sink.next(payload);
        sent = true;
      }
    }
    if (sequence !== undefined) position = sequence;
    return sent;
  }

  function decide(event: EventRow | EphemeralEvent) {
    try {
      return gate.decide(event);
    } catch (error) {
      // A gate that fails says nothing about what may be seen: nothing more is.
      fail(error);
      return undefined;
    }
  }

  function cut(): void {
    const cursor = encodeCursor(group.follower.key.streamId, position);
    end();
    metrics.slowConsumerCut(options.connection.transport);
    sink.cut(
      format(
        new PlatformError(
          'SLOW_CONSUMER',
          `More than ${options.maxBufferedBytes} bytes waited for this client; resume after the cursor.`,
        ),
        { resumeAfter: cursor },
      ),
      cursor,
    );
  }

  function fail(error: unknown): void {
    if (ended) return;
    end();
    sink.fail(format(error));
  }

  function format(error: unknown, extensions: Record<string, unknown> = {}): GraphQLFormattedError {
    const formatted = options.formatError(error);
    return { ...formatted, extensions: { ...formatted.extensions, ...extensions } };
  }

  function end(): void {
    if (ended) return;
    ended = true;
    group.leave(subscriber);
    options.onEnd();
  }

  /** Sends what happened after the position until nothing is missing, then joins the group in the same turn. */
  async function catchUp(): Promise<void> {
    let firstPage = true;
    while (!ended) {
      const { follower } = group;
      if (follower.broken !== undefined) return fail(follower.broken);
      if (position >= follower.position) {
        group.join(subscriber);
        if (replayed > 0) metrics.replayed(group.fieldName, replayed);
        return;
      }
      const rows = follower.recentAfter(position) ?? (await follower.readLog(position));
      const first = rows[0];
      if (first === undefined || first.sequence !== position + 1) return fail(tooOld());
      if (firstPage && Date.now() - Date.parse(first.createdAt) > options.maxReplayAgeMs) return fail(tooOld());
      firstPage = false;
      for (const row of rows) {
        if (ended) return;
        await replay(row);
      }
    }
  }

  function start(): void {
    started = true;
    // One that runs goes on in the group as it is by then.
    if (catchingUp) return;
    catchingUp = true;
    catchUp()
      .catch(fail)
      .finally(() => {
        catchingUp = false;
      });
  }

  async function replay(row: EventRow): Promise<void> {
    const payload = group.isSelected(row) ? await group.payloadOf(row, subscriber) : undefined;
    if (payload !== undefined && sink.bufferedBytes + payload.bytes.length > options.maxBufferedBytes / 2) {
      // Replay goes at the client's pace; only one that takes nothing at all is cut.
      const outcome = await sink.drained(options.slowConsumerGraceMs);
      if (ended || outcome === 'gone') return;
      if (outcome === 'late') return cut();
    }
    if (offer(row, payload)) {
      replayed++;
      metrics.delivered(group.fieldName, 1);
    }
  }

  const subscriber = {
    principal: options.principal,
    connection: options.connection,
    offer,
    fail,
    /** Stops without a word to the client: it is gone, or said so itself. */
    end,
    start,
    /** Goes on under another gate, and in another group from where it stands: nothing is missed or repeated. */
    move(next: Pick<SubscriberOptions, 'gate' | 'group'>): void {
      if (ended) return;
      gate = next.gate;
      if (next.group === group) return;
      group.leave(subscriber);
      group = next.group;
      if (started) start();
    },
    get ended(): boolean {
      return ended;
    },
    get position(): number {
      return position;
    },
  };
  return subscriber;
}

export type Subscriber = ReturnType<typeof createSubscriber>;

function tooOld(): PlatformError {
  return new PlatformError('RESUME_TOO_OLD', 'Events after this cursor are no longer kept: read the state anew.', {
    path: ['after'],
  });
}
