import { createAddressGuard } from '#shared/addressGuard.ts';
import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import type { LogBuffer } from '#shared/logs/buffer.ts';
import { callOf, type Once } from '#shared/once.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { channelInput, channelName } from '../monitoring/inputs.ts';
import { createSenders, type MailTransport, type Message } from './senders.ts';

const maxChannels = 50;

interface ChannelRow {
  readonly name: string;
  readonly kind: 'WEBHOOK' | 'LOG' | 'MAIL';
  readonly target: string | null;
  readonly enabled: boolean;
  readonly version: number;
}

const channelColumns = 'name, kind, target, enabled, revision AS version';

/** Channels, and what was sent over them. */
export function createNotifications(
  { sql, config }: ModuleRuntime,
  { once, log, mail }: { readonly once: Once; readonly log: LogBuffer; readonly mail?: MailTransport },
) {
  const guard = createAddressGuard(config.WEBHOOK_NETWORKS);
  const senders = createSenders({ guard, log, mail });

  const changed = (tenantId: string, change: string, name: string) => ({
    events: [
      { streamId: derivedId(`channels ${tenantId}`), type: `platform.channel.${change}`, data: { name }, tags: [] },
    ],
    audit: [{ action: `platform.channel.${change}`, resource: 'PlatformNotificationChannel', resourceId: name }],
  });

  return {
    channels: async ({ principal }: RequestScope) =>
      [
        ...(await sql.unsafe(`SELECT ${channelColumns} FROM platform.channel WHERE tenant_id = $1 ORDER BY name`, [
          principal.tenantId,
        ])),
      ] as unknown as ChannelRow[],

    /** @throws {VALIDATION_FAILED} {PERMISSION_DENIED} where a webhook leads to an address that is not public. {QUOTA_EXCEEDED} */
    async putChannel(scope: RequestScope, given: unknown, key?: string | null): Promise<ChannelRow> {
      const input = parseInput(channelInput, given);
      if (input.kind === 'WEBHOOK') requirePublic(input.target!);
      const { tenantId } = scope.principal;
      return once<ChannelRow>(scope, {
        call: callOf(scope, key, 'putNotificationChannel', given),
        repeat: async (response) => response as ChannelRow,
        async write(tx) {
          const [counted] = (await tx.unsafe(
            'SELECT count(*)::int AS count FROM platform.channel WHERE tenant_id = $1 AND name <> $2',
            [tenantId, input.name],
          )) as unknown as { count: number }[];
          if (counted!.count >= maxChannels)
            throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxChannels} channels`, { path: ['input'] });
          const [row] = (await tx.unsafe(
            `INSERT INTO platform.channel AS c (tenant_id, name, kind, target, enabled) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id, name) DO UPDATE SET kind = $3, target = $4, enabled = $5, revision = c.revision + 1 RETURNING ${channelColumns}`,
            [tenantId, input.name, input.kind, input.target ?? null, input.enabled],
          )) as unknown as ChannelRow[];
          return { row: row!, response: row, changes: [changed(tenantId, 'put', input.name)] };
        },
      });
    },

    /** @throws {NOT_FOUND} */
    async deleteChannel(scope: RequestScope, name: string, key?: string | null): Promise<string> {
      parseInput(channelName, name, ['name']);
      const { tenantId } = scope.principal;
      return once<string>(scope, {
        call: callOf(scope, key, 'deleteNotificationChannel', { name }),
        repeat: async () => name,
        async write(tx) {
          const gone = await tx.unsafe('DELETE FROM platform.channel WHERE tenant_id = $1 AND name = $2 RETURNING 1', [
            tenantId,
            name,
          ]);
          if (gone.length === 0) throw new PlatformError('NOT_FOUND', 'no such channel', { path: ['name'] });
          return { row: name, response: {}, changes: [changed(tenantId, 'deleted', name)] };
        },
      });
    },

    notifications: async ({ principal }: RequestScope, status: string | null) =>
      [
        ...(await sql.unsafe(
          `SELECT id, channel, subject, status, attempts, last_error AS "lastError", created_at AS "createdAt", sent_at AS "sentAt"
           FROM platform.notification WHERE tenant_id = $1 AND ($2::text IS NULL OR status = $2) ORDER BY created_at DESC, id LIMIT 1000`,
          [principal.tenantId, status],
        )),
      ] as never[],

    /** One attempt to send; what failed is tried again by the job queue, later each time. */
    async send(payload: unknown): Promise<void> {
      const { tenantId, notificationId } = payload as { tenantId: string; notificationId: string };
      const [row] = (await sql.unsafe(
        `SELECT n.tenant_id AS "tenantId", n.id, n.subject, n.body, n.created_at AS "createdAt", c.kind, c.target
         FROM platform.notification n LEFT JOIN platform.channel c ON c.tenant_id = n.tenant_id AND c.name = n.channel AND c.enabled
         WHERE n.tenant_id = $1 AND n.id = $2 AND n.status <> 'SENT'`,
        [tenantId, notificationId],
      )) as unknown as (Message & { kind: ChannelRow['kind'] | null; target: string | null })[];
      if (!row) return;
      const note = (status: string, lastError: string | null) =>
        sql.unsafe(
          `UPDATE platform.notification SET status = $3, attempts = attempts + 1, last_error = $4, sent_at = CASE WHEN $3 = 'SENT' THEN now() END
           WHERE tenant_id = $1 AND id = $2`,
          [tenantId, notificationId, status, lastError],
        );
      if (row.kind === null) return void (await note('FAILED', 'the channel is gone or off'));
      try {
        await senders[row.kind](row.target, row);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        await note('FAILED', reason.slice(0, 500));
        // What will be refused again is not tried again.
        if (error instanceof PlatformError && !error.retryable) return;
        throw error;
      }
      await note('SENT', null);
    },

    /** Forgets what was sent a month ago. */
    async sweepNotifications(): Promise<void> {
      await sql.unsafe(`DELETE FROM platform.notification WHERE created_at < now() - interval '30 days'`);
    },
  };

  function requirePublic(target: string): void {
    const problem = guard.findAddressProblem(target);
    if (problem !== null)
      throw new PlatformError('VALIDATION_FAILED', `input.target: ${problem}`, { path: ['input', 'target'] });
  }
}

export type Notifications = ReturnType<typeof createNotifications>;
