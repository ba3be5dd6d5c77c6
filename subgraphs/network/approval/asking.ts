import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import { touch } from '../networkChanges.ts';
import type { NetworkRow } from '../rows.ts';
import type { NetworkPendingChange } from './rows.ts';

/** Of the references by which a Confirm is known to be about a network's change. */
export const referenceKind = 'network.change';

interface Asked extends Pick<NetworkPendingChange, 'kind' | 'reason' | 'run'> {
  /** What the Confirm is headed by, and what it says of the change. */
  readonly title: string;
  readonly why: string;
  /** For the conditions of a Confirm's template. */
  readonly figures?: Readonly<Record<string, number>>;
}

/** @throws {INVALID_STATE} while a change waits for its Confirm. */
export function requireNoneWaits({ pending }: NetworkRow, path: readonly string[]): void {
  if (pending !== null)
    throw new PlatformError('INVALID_STATE', 'a change of the network waits for its Confirm', {
      path,
      details: { confirmId: pending.confirmId },
    });
}

/** Keeps a change until people have decided; the confirm module opens a Confirm for the request. */
export function askFor(network: NetworkRow, principal: Principal, asked: Asked) {
  const { kind, reason, run, title, why, figures } = asked;
  const pending: NetworkPendingChange = {
    ...{ id: newId(), kind, reason, run },
    ...{ requestedBy: principal.subject, requestedAt: new Date().toISOString(), confirmId: null },
  };
  const { disruptionTolerance: _tolerance, ...approvers } = network.approval!;
  const request: NewEvent = {
    streamId: network.id,
    type: 'approval.requested',
    data: {
      approval: {
        ...{ targetType: 'other', targetId: network.id, contextId: network.contextId },
        ...{ confirmationType: 'network_change', title: title.slice(0, 500) },
        reason: reason === null ? why : `${why}: ${reason}`,
        ...{ requestedBy: principal.subject, requestedByRole: principal.roles[0] ?? 'agent' },
        subject: { kind, ...figures },
        ...approvers,
        reference: { kind: referenceKind, networkId: network.id, changeId: pending.id },
      },
    },
    tags: [],
  };
  const row = touch(network, principal.subject, { pending, refusal: null });
  return { row, type: 'network.change.requested', changes: { change: pending }, events: [request] };
}
