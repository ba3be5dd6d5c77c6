import { wasAskedFor } from '#shared/askedConfirm.ts';
import { type Consumer, createConsumer } from '#shared/consumer.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Commands } from '../commands.ts';
import { setSandboxStatus } from '../store.ts';

interface ConfirmValue {
  /** The `approval.requested` that it was opened for; null where a client opened it. */
  readonly requestEventId?: string | null;
  readonly id: string;
  readonly targetType: string;
  readonly status: string;
  readonly resolvedAt: string | null;
  readonly createdAt: string;
  readonly reference?: {
    readonly kind?: unknown;
    readonly extensionId?: unknown;
    readonly releaseId?: unknown;
  } | null;
}

/** Takes over what people decide about extensions. A repeat changes nothing. */
export function createConfirms(runtime: ModuleRuntime, commands: Commands) {
  async function heard(event: EventRow): Promise<void> {
    const confirm = event.data['confirm'] as ConfirmValue | undefined;
    if (confirm?.targetType !== 'extension' || confirm.status !== 'approved' || !wasAskedFor(confirm)) return;
    const { kind, extensionId, releaseId } = confirm.reference ?? {};
    if (!isId(extensionId)) return;
    const actor = { tenantId: event.tenantId, subject: event.actor, scope: null };
    const reference = { id: confirm.id, module: 'confirm' };
    const known = await runtime.sql.unsafe(
      `SELECT 1 FROM extension.extension WHERE tenant_id = $1 AND id = $2 AND runtime_state <> 'uninstalled'`,
      [event.tenantId, extensionId],
      { prepare: true },
    );
    if (known.length === 0) return;
    if (kind === 'extension.release')
      await commands.change(
        actor,
        extensionId,
        { action: 'extension.release', type: 'extension.status.changed', evenLocked: true },
        (row) => {
          // An approval counts for the quarantine it was asked for, not for a later one.
          if (row.runtimeState !== 'quarantined' || row.quarantine === null) return null;
          if (Date.parse(row.quarantine.at) > Date.parse(confirm.createdAt)) return null;
          return {
            row: {
              runtimeState: 'inactive',
              status: 'inactive',
              quarantine: null,
              governance: { ...row.governance, lastConfirmRef: reference },
            },
            told: { confirmId: confirm.id },
            write: (tx, next) => setSandboxStatus(tx, next, 'stopped'),
          };
        },
      );
    else if (kind === 'extension.widen' && isId(releaseId))
      await commands.change(
        actor,
        extensionId,
        { action: 'extension.release.approve', type: 'extension.release.approved', evenLocked: true },
        async (row, tx) => {
          const updated = await tx.unsafe(
            'UPDATE extension.release SET approved_by = $4 WHERE tenant_id = $1 AND extension_id = $2 AND id = $3 AND approved_by IS NULL RETURNING id',
            [row.tenantId, row.id, releaseId, confirm.id],
            { prepare: true },
          );
          if (updated.length === 0) return null;
          return {
            row: { governance: { ...row.governance, lastConfirmRef: reference } },
            told: { releaseId, confirmId: confirm.id },
          };
        },
      );
  }

  return {
    follow(): Promise<Consumer> {
      return createConsumer({
        name: 'extension.confirms',
        module: 'confirm',
        types: ['confirm.resolved'],
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('confirm'),
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events) {
          for (const event of events) await heard(event);
        },
      });
    },
  };
}
