import { wasAskedFor } from '#shared/askedConfirm.ts';
import { type Consumer, createConsumer } from '#shared/consumer.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Calls } from './calls.ts';
import { councilNeeds } from './council/needs.ts';
import { takeEffect } from './council/rounds.ts';
import { refuse } from './council/sittings.ts';
import { find, put, tell } from './draft.ts';

interface ResolvedConfirm {
  /** The `approval.requested` that it was opened for; null where a client opened it. */
  readonly requestEventId?: string | null;
  readonly id: string;
  readonly status: string;
  readonly confirmationType: string | null;
  readonly targetId: string;
  readonly reference: { readonly collabId?: unknown; readonly decisionId?: unknown } | null;
}

/** What becomes of a decision that was asked for as an approval. */
export function createConfirms(runtime: ModuleRuntime, { calls }: { readonly calls: Calls }) {
  async function heard({ tenantId, data }: EventRow): Promise<void> {
    const confirm = data['confirm'] as ResolvedConfirm | undefined;
    if (confirm?.confirmationType !== 'collab_decision' || !wasAskedFor(confirm)) return;
    const { collabId, decisionId } = confirm.reference ?? {};
    if (!isId(collabId) || !isId(decisionId) || decisionId !== confirm.targetId) return;
    await calls
      .runAs(
        tenantId,
        collabId,
        { action: 'collab.confirm', needs: { ...councilNeeds(decisionId), council: 'all' } },
        (draft) => {
          const decision = find(draft, 'decision', decisionId);
          if (decision?.status !== 'decided' || decision.confirmId !== null) return null;
          const isApproved = confirm.status === 'approved';
          const next = put(draft, 'decision', {
            ...decision,
            confirmId: confirm.id,
            // What people turn down is not adopted, whatever was voted.
            ...(isApproved ? {} : { outcome: 'escalated' as const }),
            version: decision.version + 1,
          });
          tell(draft, isApproved ? 'collab.decision.approved' : 'collab.decision.refused', { decision: next });
          const council = next.councilId === null ? undefined : find(draft, 'council', next.councilId);
          if (council?.outcome === 'awaits_approval') {
            if (isApproved) takeEffect(draft, council, next);
            else refuse(draft, council);
          }
          return { collabId, decisionId };
        },
      )
      .catch((error: unknown) => {
        // A collaboration that is gone has nothing to be told.
        if (!(error instanceof Error && 'code' in error && error.code === 'NOT_FOUND')) throw error;
      });
  }

  return {
    follow: (): Promise<Consumer> =>
      createConsumer({
        name: 'collab.confirms',
        module: 'confirm',
        types: ['confirm.resolved'],
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('confirm'),
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events) {
          for (const event of events) await heard(event);
        },
      }),
  };
}
