import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeCursor } from '#shared/cursor.ts';
import type { EventRow } from '#shared/events.ts';
import { openSocket, until } from './rig/clients.ts';
import { createRig, type Rig, tenantId } from './rig/index.ts';
import { createTestEventTable, type EventTable } from './rig/testEventTable.ts';

const selections = ['cursor sequence', 'cursor sequence message { context { slow } }'];
const queryOf = (client: number): string =>
  `subscription ($d: ID!, $after: String) { messageAdded(dialogId: $d, after: $after) { ${selections[client % 2]} } }`;

let table: EventTable;
let rig: Rig;
beforeAll(async () => {
  table = await createTestEventTable();
  rig = await createRig({
    table,
    config: { sweepIntervalMs: 15, pollIntervalMs: 5, replayPageSize: 3, recentEvents: 4 },
  });
  for (let ms = 0; ms < 4; ms++) rig.graph.calls.slowMs.set(`c${ms}`, ms * 2);
});
afterAll(async () => {
  await rig.close();
  await table.close();
});

type Fate = 'carried' | 'lost' | 'twice' | 'held';
type Step =
  | { readonly kind: 'commit'; readonly fate: Fate; readonly selected: boolean; readonly context: number }
  | { readonly kind: 'release'; readonly reversed: boolean }
  | { readonly kind: 'subscribe'; readonly client: number; readonly from: 'now' | 'start' }
  | { readonly kind: 'cut'; readonly client: number }
  | { readonly kind: 'bus'; readonly connected: boolean }
  | { readonly kind: 'wait'; readonly ms: number };

const clientNumber = fc.nat({ max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      fate: fc.constantFrom<Fate>('carried', 'carried', 'carried', 'lost', 'twice', 'held', 'held'),
      selected: fc.boolean(),
      context: fc.nat({ max: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const), reversed: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('subscribe' as const),
      client: clientNumber,
      from: fc.constantFrom('now' as const, 'start' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), client: clientNumber }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('bus' as const), connected: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat({ max: 12 }) }) },
);

/** A subscriber over all its connections: what it received, and where it began. */
interface Client {
  readonly number: number;
  readonly received: { readonly cursor: string; readonly sequence: number }[];
  /** Everything after this must arrive; without a cursor also something earlier may. */
  readonly from: { readonly sequence: number; readonly exact: boolean };
  socket: Awaited<ReturnType<typeof openSocket>> | undefined;
}

async function runSteps(steps: readonly Step[]): Promise<void> {
  const dialog = randomUUID();
  const events: EventRow[] = [];
  const held: EventRow[] = [];
  const clients = new Map<number, Client>();
  rig.bus.connected = true;
  const commit = async (selected: boolean, context: number): Promise<EventRow> => {
    const type = selected ? 'dialog.message.sent' : 'dialog.participant.added';
    const event = await table.append({
      tenantId,
      streamId: dialog,
      type,
      data: { id: randomUUID(), text: 't', context: { id: `c${context}` } },
    });
    events.push(event);
    return event;
  };
  await commit(true, 0);

  /** Takes over what the connection brought, and drops it: the next one resumes after the last cursor. */
  const drop = (client: Client): void => {
    if (client.socket === undefined) return;
    client.received.push(...receivedBy(client.socket));
    client.socket.close();
    client.socket = undefined;
  };
  const connect = async (client: Client): Promise<void> => {
    const last =
      client.received.at(-1)?.cursor ?? (client.from.exact ? encodeCursor(dialog, client.from.sequence) : null);
    const before = rig.counts.started;
    client.socket = await openSocket(rig.webSocketUrl);
    client.socket.subscribe('1', queryOf(client.number), { d: dialog, after: last });
    if (last === null) await until(() => rig.counts.started > before, 'admission');
  };
  const settled = (): Promise<void> => until(() => rig.hub.stats().subscriptions === 0, 'the sockets to be forgotten');

  for (const action of steps) {
    if (action.kind === 'commit') {
      const event = await commit(action.selected, action.context);
      if (action.fate === 'held') held.push(event);
      else if (action.fate !== 'lost' && rig.bus.connected)
        rig.bus.publish(action.fate === 'twice' ? [event, event] : [event]);
    } else if (action.kind === 'release') {
      const released = held.splice(0);
      if (rig.bus.connected) rig.bus.publish(action.reversed ? released.toReversed() : released);
    } else if (action.kind === 'subscribe') {
      const known = clients.get(action.client);
      if (known?.socket !== undefined) continue;
      const from = action.from === 'start' ? { sequence: 0, exact: true } : { sequence: events.length, exact: false };
      const client: Client = known ?? { number: action.client, received: [], from, socket: undefined };
      // One that came without a cursor and received nothing has nothing to resume from: it begins anew.
      const fresh =
        client.received.length === 0 && !client.from.exact
          ? { ...client, from: { sequence: events.length, exact: false } }
          : client;
      clients.set(action.client, fresh);
      await connect(fresh);
    } else if (action.kind === 'cut') {
      const client = clients.get(action.client);
      if (client !== undefined) drop(client);
    } else if (action.kind === 'bus') {
      rig.bus.connected = action.connected;
    } else {
      await new Promise((resolve) => setTimeout(resolve, action.ms));
    }
  }

  await commit(true, 1);
  const selected = events.filter((event) => event.type === 'dialog.message.sent').map((event) => event.sequence);
  try {
    for (const client of clients.values()) {
      if (client.socket === undefined) continue;
      const { socket } = client;
      await until(
        () => receivedBy(socket).at(-1)?.sequence === selected.at(-1),
        `client ${client.number} to catch up; it has ${JSON.stringify(receivedBy(socket))} of ${selected}, answers ${socket.raw.at(-1)}`,
        2_000,
      );
    }
  } finally {
    for (const client of clients.values()) {
      drop(client);
    }
  }
  for (const { received, from } of clients.values()) {
    const sequences = received.map(({ sequence }) => sequence);
    const due = selected.filter((sequence) => sequence > from.sequence);
    const began = from.exact ? from.sequence : Math.min(from.sequence, (sequences[0] ?? from.sequence + 1) - 1);
    const expected = selected.filter((sequence) => sequence > began);
    // One cut off before the end has a beginning of it, one still there all.
    expect(sequences).toEqual(expected.slice(0, sequences.length));
    expect(expected.length).toBeGreaterThanOrEqual(due.length);
    for (const { cursor, sequence } of received) expect(cursor).toBe(encodeCursor(dialog, sequence));
  }
  await settled();
}

function receivedBy(socket: Awaited<ReturnType<typeof openSocket>>): { cursor: string; sequence: number }[] {
  return socket
    .results('1')
    .map((result) => (result as { data: { messageAdded: { cursor: string; sequence: number } } }).data.messageAdded);
}

describe('delivery', () => {
  it('gives each subscriber the selected events after its cursor, in order, once, whatever the bus does', async () => {
    let filled = 0;
    let replayed = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        await runSteps(steps);
        filled = rig.counts.filled.live + rig.counts.filled.poll + rig.counts.filled.sweep;
        replayed = rig.counts.replayed;
      }),
      { numRuns: 60, endOnFailure: true },
    );
    // The runs did lose, resume and fill.
    expect(filled).toBeGreaterThan(20);
    expect(replayed).toBeGreaterThan(20);
  });
});
