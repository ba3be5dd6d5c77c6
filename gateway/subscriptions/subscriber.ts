import type { GraphQLFormattedError } from 'graphql';
import { encodeCursor } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EphemeralEvent, EventGate, EventRow, Handover } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import type { FormatError } from './errors.ts';
import type { Group } from './group.ts';
import type { HubMetrics, Transport } from './metrics.ts';
import type { Payload } from './payload.ts';
import type { Sink } from './sink.ts';

/** Where a client comes from, as far as a request context may want to know. */
export interface ConnectionInfo {
  readonly transport: Transport;
  /** Of the socket. */
  readonly remoteAddress: string | undefined;
  /** Of the client, behind a trusted proxy another than the socket's. */
  readonly address: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The client's own, else one a request; of operations of a socket one each, so it is asked for once for each. */
  readonly correlationId: () => string;
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
  onHanded(handover: Handover): void;
  onEnd(): void;
}

/**
 * One operation of one client. It replays from its position until it has caught up with its stream, then takes part
 * in its group; in both phases its gate sees every event once and in order.
 *
 * A class, as the sink and the writer of a socket are: an event goes to thousands of them in turn, and what each
 * keeps in one object is one look into memory.
 */
export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #sink: Sink;
  readonly #maxBufferedBytes: number;
  #gate: EventGate;
  #group: Group;
  #position: number;
  #ended = false;
  #started = false;
  #catchingUp = false;
  #replayed = 0;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#sink = options.sink;
    this.#maxBufferedBytes = options.maxBufferedBytes;
    this.#gate = options.gate;
    this.#group = options.group;
    this.#position = options.position;
  }

  get principal(): Principal {
    return this.#options.principal;
  }

  get connection(): ConnectionInfo {
    return this.#options.connection;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Sequence of the last event that the gate has seen. */
  get position(): number {
    return this.#position;
  }

  /**
   * Gives the event to the gate, and the result to the client if the gate lets it. True when it was sent.
   * @param sequence of the event; undefined of what passes by
   */
  offer(event: EventRow | EphemeralEvent, sequence: number | undefined, payload: Payload | undefined): boolean {
    if (this.#ended || (sequence !== undefined && sequence <= this.#position)) return false;
    const decision = this.#decide(event);
    if (decision === undefined || this.#ended) return false;
    if (decision === 'end') {
      this.end();
      this.#sink.complete();
      return false;
    }
    let sent = false;
    if (decision === 'deliver' && payload !== undefined) {
      const sink = this.#sink;
      const waiting = sink.bufferedBytes + payload.byteLength;
      if (sequence === undefined) {
        // What passes by may be missed: a slow client loses it before its streams suffer.
        sent = waiting <= this.#maxBufferedBytes / 2;
        if (sent) sink.next(payload);
      } else if (waiting > this.#maxBufferedBytes) {
        this.#cut();
        return false;
      } else {
        sink.next(payload);
        sent = true;
      }
    }
    if (sequence !== undefined) this.#position = sequence;
    if (sent && this.#gate.handed !== undefined) this.#note(event);
    return sent;
  }

  /** Sends what was offered; only whoever delivers alone in a turn asks for it. */
  flush(): void {
    this.#sink.flush();
  }

  fail(error: unknown): void {
    if (this.#ended) return;
    this.end();
    const formatted = this.#format(error);
    this.#options.metrics.subscriptionFailed(this.#group.fieldName, formatted);
    this.#sink.fail(formatted);
  }

  /** Stops without a word to the client: it is gone, or said so itself. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#group.leave(this);
    this.#options.onEnd();
  }

  start(): void {
    this.#started = true;
    // One that runs goes on in the group as it is by then.
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    this.#catchUp().catch((error: unknown) => this.fail(error));
  }

  /** Goes on under another gate, and in another group from where it stands: nothing is missed or repeated. */
  move(next: Pick<SubscriberOptions, 'gate' | 'group'>): void {
    if (this.#ended) return;
    this.#gate = next.gate;
    if (next.group === this.#group) return;
    this.#group.leave(this);
    this.#group = next.group;
    if (this.#started) this.start();
  }

  #decide(event: EventRow | EphemeralEvent) {
    try {
      return this.#gate.decide(event);
    } catch (error) {
      // A gate that fails says nothing about what may be seen: nothing more is.
      this.fail(error);
      return undefined;
    }
  }

  #note(event: EventRow | EphemeralEvent): void {
    const handover = this.#gate.handed?.(event);
    if (handover !== undefined) this.#options.onHanded(handover);
  }

  #cut(): void {
    const { connection, metrics } = this.#options;
    const cursor = encodeCursor(this.#group.follower.key.streamId, this.#position);
    this.end();
    metrics.slowConsumerCut(connection.transport);
    this.#sink.cut(
      this.#format(
        new PlatformError(
          'SLOW_CONSUMER',
          `More than ${this.#maxBufferedBytes} bytes waited for this client; resume after the cursor.`,
        ),
        { resumeAfter: cursor },
      ),
      cursor,
    );
  }

  #format(error: unknown, extensions: Record<string, unknown> = {}): GraphQLFormattedError {
    const { formatError, connection } = this.#options;
    const formatted = formatError(error, connection.correlationId());
    return { ...formatted, extensions: { ...formatted.extensions, ...extensions } };
  }

  /** Sends what happened after the position until nothing is missing, then joins the group in the same turn. */
  async #catchUp(): Promise<void> {
    const { maxReplayAgeMs, metrics } = this.#options;
    let firstPage = true;
    while (!this.#ended) {
      const { follower } = this.#group;
      if (follower.broken !== undefined) return this.fail(follower.broken);
      if (this.#position >= follower.position) {
        this.#group.join(this);
        // In the same turn: one that is moved the moment it has joined has to catch up with its next group.
        this.#catchingUp = false;
        if (this.#replayed > 0) metrics.replayed(this.#group.fieldName, this.#replayed);
        return;
      }
      const rows = follower.recentAfter(this.#position) ?? (await follower.readLog(this.#position));
      const first = rows[0];
      if (first === undefined || first.sequence !== this.#position + 1) return this.fail(tooOld());
      if (firstPage && Date.now() - Date.parse(first.createdAt) > maxReplayAgeMs) return this.fail(tooOld());
      firstPage = false;
      for (const row of rows) {
        if (this.#ended) return;
        await this.#replay(row);
      }
    }
  }

  async #replay(row: EventRow): Promise<void> {
    const { slowConsumerGraceMs, metrics } = this.#options;
    const payload = this.#group.isSelected(row) ? await this.#group.payloadOf(row, this) : undefined;
    if (payload !== undefined && this.#sink.bufferedBytes + payload.byteLength > this.#maxBufferedBytes / 2) {
      // Replay goes at the client's pace; only one that takes nothing at all is cut.
      const outcome = await this.#sink.drained(slowConsumerGraceMs);
      if (this.#ended || outcome === 'gone') return;
      if (outcome === 'late') return this.#cut();
    }
    if (this.offer(row, row.sequence, payload)) {
      this.#replayed++;
      metrics.delivered(this.#group.fieldName, 1);
    }
  }
}

function tooOld(): PlatformError {
  return new PlatformError('RESUME_TOO_OLD', 'Events after this cursor are no longer kept: read the state anew.', {
    path: ['after'],
  });
}
