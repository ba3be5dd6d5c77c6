import { property } from './references.ts';

/** An event of a session that waits for its answer. */
export interface OpenEvent {
  index: number;
  session: unknown;
}

// Both envelopes tell of sessions: the multi-agent one by session_id, runtime_execution by execution_id.
const dispatched = new Set<unknown>(['MAPTurnDispatched', 'turn_dispatched']);
const completed = new Set<unknown>(['MAPTurnCompleted', 'turn_completed']);
const sent = new Set<unknown>(['MAPBroadcastSent', 'broadcast_sent']);
const received = new Set<unknown>(['MAPBroadcastReceived', 'broadcast_received']);

function sessionOf(event: unknown): unknown {
  return property(event, 'session_id') ?? property(event, 'execution_id');
}

function turnOf(event: unknown): string {
  const payload = property(event, 'payload');
  const role = property(payload, 'role_id') ?? property(event, 'executor_role') ?? '';
  return JSON.stringify([sessionOf(event), role, property(payload, 'turn_number') ?? '']);
}

/** Dispatched turns that no completion of the same session, role and turn number answers, one for one. */
export function turnsWithoutCompletion(events: readonly unknown[]): OpenEvent[] {
  const done = new Map<string, number>();
  for (const event of events) {
    if (completed.has(property(event, 'event_type'))) done.set(turnOf(event), (done.get(turnOf(event)) ?? 0) + 1);
  }
  const open: OpenEvent[] = [];
  for (const [index, event] of events.entries()) {
    if (!dispatched.has(property(event, 'event_type'))) continue;
    const turn = turnOf(event);
    const left = done.get(turn) ?? 0;
    if (left === 0) open.push({ index, session: sessionOf(event) });
    else done.set(turn, left - 1);
  }
  return open;
}

/** Broadcasts of sessions in which nobody received one. */
export function sessionsWithoutReceipt(events: readonly unknown[]): OpenEvent[] {
  const answered = new Set(
    events.filter((event) => received.has(property(event, 'event_type'))).map((event) => sessionOf(event)),
  );
  const open: OpenEvent[] = [];
  for (const [index, event] of events.entries()) {
    if (sent.has(property(event, 'event_type')) && !answered.has(sessionOf(event))) {
      open.push({ index, session: sessionOf(event) });
    }
  }
  return open;
}
