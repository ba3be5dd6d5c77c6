import { PlatformError } from '#shared/errors.ts';
import type { NewAudit, NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { participantColumns } from './children.ts';
import { participantEvent } from './events.ts';
import { permissionsOf, requireAdmissible } from './participantRules.ts';
import { upsertParticipants, writeCounts } from './participantStore.ts';
import type { ContextParticipantRow, ContextRow } from './rows.ts';
import { nowText } from './rules.ts';

/** How many may take part in a context. */
export type LimitOf = (context: ContextRow) => number;

/** Somebody for whom a place has come free. */
export interface Admission {
  /** As it stands with this one in it. */
  readonly context: ContextRow;
  readonly participant: ContextParticipantRow;
  readonly event: NewEvent;
  readonly audit: NewAudit;
}

/** The participant as it takes part from now on. */
export function seated(context: ContextRow, before: ContextParticipantRow): ContextParticipantRow {
  const at = nowText();
  return {
    ...before,
    status: 'ACTIVE',
    permissions: permissionsOf(context, before.agentId, before.roles),
    ...{ joinedAt: at, lastActivityAt: at, version: before.version + 1 },
  };
}

const waitingText = `
SELECT ${participantColumns} FROM context.participant p
WHERE (p.tenant_id, p.context_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[])) AND p.status = 'JOINING' AND p.approved_at IS NOT NULL
ORDER BY p.approved_at, p.id FOR UPDATE OF p`;

/**
 * Lets those in who were let in before and found no place, first come first, as far as there are places now: in the
 * transaction that holds the contexts, so that nobody is let in beside it. Whoever the context would not take any more
 * waits on.
 */
export async function seatWaiting(
  tx: SqlTransaction,
  contexts: readonly ContextRow[],
  limitOf: LimitOf,
): Promise<readonly Admission[]> {
  const byKey = new Map(
    contexts
      .filter(
        (context) =>
          context.deletedAt === null &&
          // What governance has locked changes by an override alone, and that was given for something else.
          context.governance?.locked !== true &&
          context.participantCount < limitOf(context),
      )
      .map((context) => [`${context.tenantId}/${context.id}`, context]),
  );
  if (byKey.size === 0) return [];
  const open = [...byKey.values()];
  const waiting = (await tx.unsafe(waitingText, [open.map(({ tenantId }) => tenantId), open.map(({ id }) => id)], {
    prepare: true,
  })) as unknown as ContextParticipantRow[];
  const admissions: Admission[] = [];
  for (const before of waiting) {
    const key = `${before.tenantId}/${before.contextId}`;
    const context = byKey.get(key)!;
    if (!isAdmissible(context, before, limitOf(context))) continue;
    const participant = seated(context, before);
    const after = {
      ...{ ...context, participantCount: context.participantCount + 1, lastActivityAt: participant.joinedAt },
    };
    byKey.set(key, after);
    admissions.push({
      ...{ context: after, participant },
      event: participantEvent('context.participant.joined', participant),
      audit: {
        action: 'context.participant.seat',
        resource: 'ContextParticipant',
        resourceId: participant.id,
        detail: { contextId: after.id, agentId: before.agentId, by: before.approvedBy },
      },
    });
  }
  await upsertParticipants(
    tx,
    admissions.map(({ participant }) => participant),
  );
  await writeCounts(tx, [
    ...new Map(admissions.map(({ context }) => [`${context.tenantId}/${context.id}`, context])).values(),
  ]);
  return admissions;
}

function isAdmissible(context: ContextRow, waiting: ContextParticipantRow, limit: number): boolean {
  try {
    requireAdmissible(context, waiting, { present: undefined, limit });
    return true;
  } catch (error) {
    if (error instanceof PlatformError) return false;
    throw error;
  }
}
