import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { SubgraphName } from '../names.ts';
import { withdraw } from './closing.ts';
import type { CommandRunner } from './commands.ts';
import { systemPrincipal } from './directory.ts';
import { createDraft } from './draft.ts';
import { type Ending, endingOf } from './endings.ts';

/** What is read of modules whose objects confirms are about, beside what they ask for. */
export const endingTypes: Partial<Record<SubgraphName, readonly string[]>> = {
  plan: [
    'plan.status.changed',
    'plan.deleted',
    'plan.execution.cancelled',
    'plan.execution.completed',
    'plan.execution.failed',
    'step.unblocked',
    'step.skipped',
    'step.reviewed',
    'step.review.requested',
  ],
  extension: ['extension.uninstalled'],
  trace: ['trace.deleted'],
  role: [
    'role.revoked',
    'role.assignment.changed',
    'role.delegation.revoked',
    'permission.request.revoked',
    'permission.request.expired',
  ],
};

/** Cancels what waits for a decision about something that has come to its end, once, whoever tells it again. */
export function createWithdrawals({ sql }: Pick<ModuleRuntime, 'sql'>, commands: CommandRunner) {
  async function findOpen(
    tenantId: string,
    value: string,
    { where, type, before, step }: Ending,
  ): Promise<readonly string[]> {
    const rows = (await sql.unsafe(
      `SELECT c.id FROM confirm.confirm c WHERE c.tenant_id = $1 AND c.status = 'pending' AND ${conditions[where]}
         AND ($3::text IS NULL OR c.confirmation_type = $3)
         AND ($4::text::timestamptz IS NULL OR (CASE WHEN $5::int IS NOT NULL AND c.reference->>'kind' = 'plan' AND jsonb_typeof(c.reference->'version') = 'number'
           THEN (c.reference->>'version')::numeric < $5::int ELSE c.created_at <= $4::text::timestamptz END))
         AND ($6::text IS NULL OR (c.request_event_id IS NOT NULL AND c.reference->>'kind' = $9::text AND c.reference->>'executionId' = $6 AND c.reference->>'stepId' = $7::text
           AND CASE WHEN jsonb_typeof(c.reference->'attempt') = 'number' THEN (c.reference->>'attempt')::numeric <= $8::int ELSE true END))
       ORDER BY c.id`,
      [
        ...[tenantId, value, type ?? null, before?.at ?? null, before?.version ?? null],
        ...[step?.executionId ?? null, step?.stepId ?? null, step?.attempt ?? null, step?.kind ?? null],
      ],
      { prepare: true },
    )) as unknown as { id: string }[];
    return rows.map(({ id }) => id);
  }

  return {
    /** @throws what keeps it from storing: the events are then read again. */
    async heard(event: EventRow): Promise<void> {
      const ending = endingOf(event);
      if (ending === null || !isId(ending.value)) return;
      const { tenantId } = event;
      const ids = await findOpen(tenantId, ending.value, ending);
      await Promise.all(
        ids.map((confirmId) =>
          commands.run({
            scope: null,
            principal: systemPrincipal(tenantId),
            confirmId,
            idempotent: null,
            gateKey: null,
            action: 'confirm.withdraw',
            decide(current, atMs) {
              // What governance has locked ends by an override alone.
              if (current?.confirm.status !== 'pending' || current.confirm.governance?.locked === true) return null;
              const draft = createDraft(current.confirm, current.approvers, { atMs });
              withdraw(draft, ending.reason);
              return draft;
            },
          }),
        ),
      );
    },
  };
}

export type Withdrawals = ReturnType<typeof createWithdrawals>;

/** By `$2`, in whatever a confirm names. */
const conditions: Readonly<Record<Ending['where'], string>> = {
  context: '(c.context_id = $2::uuid)',
  plan: `(c.plan_id = $2::uuid OR c.target_id = $2::uuid)`,
  target: '(c.target_id = $2::uuid)',
  execution: `(c.plan_id IS NOT NULL AND c.reference->>'kind' IN ('plan.step', 'plan.step.review') AND c.reference->>'executionId' = $2::uuid::text)`,
};
