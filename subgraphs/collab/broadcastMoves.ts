import { count, type Draft, put, setDeadline, tell } from './draft.ts';
import type { Json } from './rows.ts';
import type { BroadcastRow } from './workRows.ts';

/** One answer; the last one completes the broadcast. */
export function receive(
  draft: Draft,
  broadcast: BroadcastRow,
  participantId: string,
  response: Json | null,
): BroadcastRow {
  const receipts = { ...broadcast.receipts, [participantId]: { at: draft.at, response } };
  const isComplete = broadcast.recipients.every((id) => receipts[id] !== undefined);
  const received = put(draft, 'broadcast', { ...broadcast, receipts, status: isComplete ? 'complete' : 'open' });
  if (isComplete) setDeadline(draft, `broadcast:${broadcast.id}`, null);
  count(draft, { receipts: 1 });
  tell(draft, 'collab.broadcast.received', { broadcast: received, receiverId: participantId });
  return received;
}

/** The time for answers is over. */
export function expire(draft: Draft, broadcast: BroadcastRow): void {
  const expired = put(draft, 'broadcast', { ...broadcast, status: 'expired' });
  setDeadline(draft, `broadcast:${broadcast.id}`, null);
  tell(draft, 'collab.broadcast.expired', { broadcast: expired, reason: 'timeout' });
}
