import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EphemeralEvent, EventGate, EventRow, Handover } from '#shared/events.ts';
import { dialogSubscriptions } from '../../subgraphs/dialog/subscriptions.ts';
import { type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada');
const bot = principal('bot');
const cat = principal('cat');
const source = dialogSubscriptions['messageReceived']!;
const trio = { participants: [{ subject: 'bot' }, { subject: 'cat' }] };

beforeAll(async () => {
  rig = await openDialogRig();
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const admit = (who: typeof bot, dialogId: string) => source.admit(who, { dialogId }, { sql: rig.sql });

/** As the hub does: what the gate lets through goes to the client, and what it says of that is noted. */
async function offer(gate: EventGate, events: readonly (EventRow | EphemeralEvent)[]) {
  const delivered: (EventRow | EphemeralEvent)[] = [];
  const handovers: Handover[] = [];
  for (const event of events) {
    if (gate.decide(event) !== 'deliver') continue;
    delivered.push(event);
    const handover = gate.handed!(event);
    if (handover) handovers.push(handover);
  }
  if (handovers.length > 0) await source.noteHandovers!(handovers, { sql: rig.sql });
  return delivered.map((event) => source.payload(event));
}

/** Retries what waits, and answers what passes by for it. */
async function retry(dialogId: string) {
  await rig.sql`UPDATE dialog.delivery SET next_attempt_at = now() WHERE dialog_id = ${dialogId} AND next_attempt_at IS NOT NULL`;
  const before = rig.events.length;
  await rig.service(ada).lifecycle.sweepDeliveries();
  return rig.events.slice(before).filter((event) => event.streamId === dialogId);
}

const stateOf = async (dialogId: string) =>
  (
    await rig.sql<{ status: string; waits: boolean }[]>`
      SELECT status, next_attempt_at IS NOT NULL AS waits FROM dialog.delivery WHERE dialog_id = ${dialogId} ORDER BY sequence`
  ).map((row) => `${row.status}${row.waits ? ' waits' : ''}`);

describe('a followed message', () => {
  it('is delivered once a stream of its recipient has taken it, and not sent again', async () => {
    const { id, participants } = await rig.createDialog(ada, trio);
    const [his, hers, own] = await Promise.all([bot, cat, ada].map((who) => admit(who, id)));
    const sent = await rig.send(ada, id, 'for bot', { recipients: [participants['bot']] });
    const events = rig.events.filter((event) => event.streamId === id && event.type === 'dialog.message.sent');
    expect(await offer(hers!, events)).toEqual([]);
    expect(await offer(own!, events)).toHaveLength(1);
    expect(await stateOf(id)).toEqual(['SENT waits']);
    expect(await offer(his!, events)).toMatchObject([{ kind: 'MESSAGE', redelivery: false }]);
    expect(await stateOf(id)).toEqual(['DELIVERED']);
    expect(await retry(id)).toEqual([]);
    const status = await rig.ask(
      ada,
      'query ($reps: [_Any!]!) { _entities(representations: $reps) { ... on Message { deliveryStatus { delivered pending } } } }',
      { reps: [{ __typename: 'Message', id: sent['message']!['id'] }] },
    );
    expect(status['_entities']).toEqual([{ deliveryStatus: { delivered: 1, pending: 0 } }]);
  });

  it('comes anew, as itself, to the streams of its recipient that began behind it, to each once', async () => {
    const { id, participants } = await rig.createDialog(ada, trio);
    const there = await admit(bot, id);
    const sent = await rig.send(ada, id, 'urgent', { priority: 'URGENT' });
    const [first] = rig.events.filter((event) => event.streamId === id && event.type === 'dialog.message.sent');
    // It was let through, but its connection was gone before it was handed over.
    expect(there.decide(first!)).toBe('deliver');
    const late = await admit(bot, id);
    const other = await admit(cat, id);
    const again = await retry(id);
    const toBot = again.filter((event) => event.data['participantId'] === participants['bot']);
    expect(toBot).toHaveLength(1);
    const [payload, ...more] = await offer(late, [...again, ...again]);
    expect(more).toEqual([]);
    expect(payload).toMatchObject({
      ...source.payload(first!),
      kind: 'MESSAGE',
      redelivery: true,
      actor: 'ada',
      sequence: (first as EventRow).sequence,
      message: { id: sent['message']!['id'], sequence: 1, content: { text: 'urgent' } },
    });
    // A stream that has seen the event itself, and those of others, are not sent it.
    expect(await offer(there, again)).toEqual([]);
    expect(await offer(other, toBot)).toEqual([]);
    expect((await stateOf(id)).sort()).toEqual(['DELIVERED', 'SENT waits']);
    // Its own event, held up on the way, is not sent after it.
    expect(await offer(late, [first!])).toEqual([]);
    expect((await retry(id)).filter((event) => event.data['participantId'] === participants['bot'])).toEqual([]);
    const next = await rig.send(ada, id, 'next');
    expect(next['message']!['sequence']).toBe(2);
    expect(await offer(late, rig.events.slice(-1))).toMatchObject([{ message: { sequence: 2 }, redelivery: false }]);
  });

  it('is not sent anew once it is deleted, and counts as delivered late', async () => {
    const { id } = await rig.createDialog(ada, trio);
    const sent = await rig.send(ada, id, 'gone', { priority: 'URGENT' });
    await rig.send(ada, id, 'kept', { priority: 'URGENT' });
    const messageId = String(sent['message']!['id']);
    await rig.mutate(ada, 'deleteMessage', '$messageId: ID!', { messageId }, 'message { id }');
    expect((await retry(id)).map((event) => event.data['message'])).toMatchObject([{ text: 'kept' }, { text: 'kept' }]);
    await rig.sql`UPDATE dialog.delivery SET status = 'FAILED', next_attempt_at = NULL WHERE dialog_id = ${id}`;
    await offer(await admit(bot, id), await rig.stream(id));
    expect((await stateOf(id)).filter((state) => state === 'DELIVERED')).toHaveLength(1);
  });
});
