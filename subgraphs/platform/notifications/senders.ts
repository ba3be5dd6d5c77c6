import { PlatformError } from '#shared/errors.ts';
import type { LogBuffer } from '#shared/logs/buffer.ts';
import { logLevels } from '#shared/logs/record.ts';
import type { AddressGuard } from './publicAddress.ts';

export interface Message {
  readonly tenantId: string;
  readonly id: string;
  readonly subject: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
}

/** Hands mail to whatever carries it. The platform brings no transport of its own. */
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

const timeoutMs = 5_000;

export function createSenders({
  guard,
  log,
  mail,
}: SenderOptions): Readonly<Record<'WEBHOOK' | 'LOG' | 'MAIL', Sender>> {
  return {
    /** POST of JSON; anything but 2xx is a failure, and redirections are none of ours to follow. */
    async WEBHOOK(target, { id, subject, body, createdAt }) {
      const url = new URL(target!);
      guard.requireHost(url.hostname);
      const { Agent, request } = await import('undici');
      const dispatcher = new Agent({ connect: { lookup: guard.lookup, timeout: timeoutMs }, pipelining: 0 });
      try {
        const response = await request(url, {
          method: 'POST',
          dispatcher,
          headers: { 'content-type': 'application/json', 'x-notification-id': id },
          body: JSON.stringify({ id, subject, createdAt, ...body }),
          headersTimeout: timeoutMs,
          bodyTimeout: timeoutMs,
        });
        await response.body.dump({ limit: 65_536 }).catch(() => {});
        if (response.statusCode < 200 || response.statusCode > 299)
          throw new PlatformError('UNAVAILABLE', `expected status 2xx of the webhook, got ${response.statusCode}`);
      } finally {
        await dispatcher.destroy();
      }
    },

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
