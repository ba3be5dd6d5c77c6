import { createHash } from 'node:crypto';
import { z } from 'zod';

/** A message as a query or a subscription gives it. */
export const messageSchema = z.object({
  sequence: z.number().int(),
  clientMessageId: z.string(),
  senderSubject: z.string(),
  topic: z.string().nullable(),
  content: z.object({ text: z.string() }),
});

export type WireMessage = z.output<typeof messageSchema>;

/** Stands for who said what: two messages with the same digest are the same in all that a reader sees. */
export function digestOf(senderSubject: string, topic: string | null, text: string): string {
  return createHash('sha256')
    .update(JSON.stringify([senderSubject, topic, text]))
    .digest('base64');
}
