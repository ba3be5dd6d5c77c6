import type { GraphqlResponse, ReceivedEvent, SubscriptionWorkload } from './workload.ts';

/** What a text frame of graphql-transport-ws says to a subscriber. */
export type Frame =
  | { readonly type: 'next'; readonly id: string; readonly event: ReceivedEvent | null }
  | { readonly type: 'error' | 'complete'; readonly id: string; readonly detail: string }
  | { readonly type: 'connection_ack' | 'ping' | 'other' };

interface WireMessage {
  readonly type?: string;
  readonly id?: string;
  readonly payload?: unknown;
}

interface Known {
  readonly bytes: Buffer;
  /** Where the operation id stands in the bytes. */
  readonly idAt: number;
  readonly idLength: number;
  readonly event: ReceivedEvent | null;
}

const ringSize = 16;

/**
 * Reads frames. Subscribers of one stream get the same bytes but for the operation id, so a frame equal to one of the
 * last few outside the id is not parsed again: every byte is still compared, at the price of a memcmp.
 */
export function createFrameReader(
  workload: Pick<SubscriptionWorkload, 'read'>,
): (bytes: Buffer, start: number, end: number, idLength: number) => Frame {
  const ring: Known[] = [];
  let newest = 0;

  function recall(bytes: Buffer, start: number, end: number, idLength: number): Frame | null {
    const length = end - start;
    for (let back = 0; back < ring.length; back += 1) {
      const known = ring[(newest - back + ringSize) % ringSize];
      if (!known || known.bytes.length !== length || known.idLength !== idLength) continue;
      const idEnd = known.idAt + idLength;
      if (
        bytes.compare(known.bytes, idEnd, length, start + idEnd, end) === 0 &&
        bytes.compare(known.bytes, 0, known.idAt, start, start + known.idAt) === 0
      ) {
        return { type: 'next', id: bytes.toString('latin1', start + known.idAt, start + idEnd), event: known.event };
      }
    }
    return null;
  }

  return (buffer, start, end, idLength) => {
    const known = recall(buffer, start, end, idLength);
    if (known) return known;
    const bytes = buffer.subarray(start, end);
    const message = JSON.parse(bytes.toString('utf8')) as WireMessage;
    const id = message.id ?? '';
    if (message.type === 'next') {
      const response = message.payload as GraphqlResponse;
      const [error] = response.errors ?? [];
      if (error) return { type: 'error', id, detail: error.extensions?.code ?? error.message };
      const event = workload.read(response);
      const idAt = bytes.indexOf(`"id":"${id}"`) + 6;
      if (idAt >= 6 && id.length === idLength) {
        newest = (newest + 1) % ringSize;
        // The buffer of the sockets is reused: keep a copy.
        ring[newest] = { bytes: Buffer.from(bytes), idAt, idLength, event };
      }
      return { type: 'next', id, event };
    }
    if (message.type === 'error' || message.type === 'complete') {
      return { type: message.type, id, detail: JSON.stringify(message.payload ?? null).slice(0, 200) };
    }
    if (message.type === 'connection_ack' || message.type === 'ping') return { type: message.type };
    return { type: 'other' };
  };
}
