import { z } from 'zod';
import { createFrameReader, type Frame } from '../load/frameReader.ts';
import type { ReceivedEvent } from '../load/workload.ts';
import { digestOf, messageSchema } from './message.ts';

export interface ReceivedMessage {
  readonly cursor: string;
  readonly id: string;
  readonly sequence: number;
  readonly digest: string;
  readonly createdAtMs: number;
}

export type MessageFrame =
  | { readonly type: 'next'; readonly message: ReceivedMessage | null }
  | Exclude<Frame, { readonly type: 'next' }>;

export interface MessageReader {
  read(data: Buffer, operationIdLength: number): MessageFrame;
}

const eventSchema = z.object({
  messageReceived: z.object({
    cursor: z.string(),
    kind: z.string(),
    timestamp: z.iso.datetime(),
    message: messageSchema.nullable(),
  }),
});

/** Reads the frames of one dialog; equal bytes are read once, whoever gets them. */
export function createMessageReader(dialogId: string): MessageReader {
  const messages = new WeakMap<ReceivedEvent, ReceivedMessage>();
  const read = createFrameReader({
    read(response) {
      const { cursor, kind, message, timestamp } = eventSchema.parse(response.data).messageReceived;
      if (kind !== 'MESSAGE' || message === null) return null;
      const { sequence, clientMessageId: id, senderSubject, topic, content } = message;
      const event = { key: id, stream: dialogId, sequence, createdAtMs: Date.parse(timestamp) };
      messages.set(event, { ...event, id, cursor, digest: digestOf(senderSubject, topic, content.text) });
      return event;
    },
  });
  return {
    read(data, operationIdLength) {
      const frame = read(data, 0, data.length, operationIdLength);
      if (frame.type !== 'next') return frame;
      return { type: 'next', message: frame.event === null ? null : (messages.get(frame.event) ?? null) };
    },
  };
}
