import type { AddressGuard } from '#shared/addressGuard.ts';
import { PlatformError } from '#shared/errors.ts';
import type { LogBuffer } from '#shared/logs/buffer.ts';
import { logLevels } from '#shared/logs/record.ts';
import { postWebhook } from '../webhooks/post.ts';

export interface Message {
  readonly tenantId: string;
  readonly id: string;
  readonly subject: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
}

/** Hands mail to whatever carries it. Over SMTP where SMTP_URL is set. */
export interface MailTransport {
  send(mail: { readonly to: string; readonly subject: string; readonly text: string }): Promise<void>;
}

export interface SenderOptions {
  readonly guard: AddressGuard;
  readonly log: LogBuffer;
  readonly mail?: MailTransport | undefined;
}

/** Sends a message to the target of a channel. A throw is a failed attempt. */
export type Sender = (target: string | null, message: Message) => Promise<void>;

export function createSenders({
  guard,
  log,
  mail,
}: SenderOptions): Readonly<Record<'WEBHOOK' | 'LOG' | 'MAIL', Sender>> {
  return {
    WEBHOOK: (target, { id, subject, body, createdAt }) =>
      postWebhook({
        url: target!,
        secret: null,
        guard,
        headers: { 'x-notification-id': id },
        body: JSON.stringify({ id, subject, createdAt, ...body }),
      }),

    /** A record of the tenant's own log. */
    async LOG(_target, { tenantId, id, subject, body }) {
      log.add({
        tenantId,
        id,
        atMs: Date.now(),
        level: logLevels.WARN,
        message: subject,
        module: 'notifications',
        operation: null,
        correlationId: null,
        traceId: null,
        spanId: null,
        userId: null,
        metadata: body,
        stack: null,
      });
    },

    async MAIL(target, { subject, body }) {
      if (!mail) throw new PlatformError('NOT_IMPLEMENTED', 'no mail transport is configured');
      await mail.send({ to: target!, subject, text: JSON.stringify(body, null, 2) });
    },
  };
}
