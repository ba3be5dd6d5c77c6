import fc from 'fast-check';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { answerJoinRequests } from '../../subgraphs/context/joinConfirms.ts';
import { alice, type ContextRig, type Json, openContextRig, principal } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const tenantId = 'one';
const fields =
  '{ participant { id status waitsFor approvedAt version } context { participantCount } userErrors { code } }';
const approved = (maxParticipants: number) =>
  rig.createContext(alice, { accessControl: { joinPolicy: 'APPROVAL' }, configuration: { maxParticipants } });
const ask = async (who: string, field: string, id: string, more: Record<string, unknown> = {}): Promise<Json> => {
  const types: Record<string, string> = { participantId: 'ID!', decision: 'ContextJoinDecision!' };
  const names = Object.keys(more);
  const declared = ['$id: ID!', ...names.map((name) => `$${name}: ${types[name]}`)].join(', ');
  const given = ['contextId: $id', ...names.map((name) => `${name}: $${name}`)].join(', ');
  const asker = who === 'alice' ? alice : principal(who);
  return (await rig.ask(asker, `mutation (${declared}) { answer: ${field}(${given}) ${fields} }`, { id, ...more }))[
    'answer'
  ]!;
};
/** Asks to join; the id of the request. */
const request = async (who: string, id: string) => String((await ask(who, 'joinContext', id))['participant']!['id']);
/** What the confirm module tells once the owner has answered. */
const grant = (contextId: string, participantId: string, status = 'approved') =>
  answerJoinRequests({ logger: pino({ level: 'silent' }) }, rig.service.participants, [
    {
      ...{ tenantId, actor: 'alice', type: 'confirm.resolved', streamId: newId(), sequence: 1 },
      ...{ eventId: newId(), module: 'confirm', tags: [], createdAt: new Date().toISOString() },
      data: {
        confirm: {
          ...{ id: newId(), status, requestEventId: newId(), resolution: 'because' },
          reference: { kind: 'context.participant', contextId, participantId },
        },
      },
    } as unknown as EventRow,
  ]);
const resize = (id: string, maxParticipants: number) =>
  rig.ask(
    alice,
    'mutation ($id: ID!, $n: Int!) { updateContext(contextId: $id, patch: { configuration: { maxParticipants: $n } }) { userErrors { code } } }',
    { id, n: maxParticipants },
  );
const stored = async (id: string) => {
  const rows = await rig.sql<
    { agent: string; status: string; waits: boolean }[]
  >`SELECT agent_id AS agent, status, approved_at IS NOT NULL AND status = 'JOINING' AS waits FROM context.participant WHERE context_id = ${id} AND status <> 'LEFT' ORDER BY agent_id`;
  const [context] = await rig.sql<{ n: number }[]>`SELECT participant_count AS n FROM context.context WHERE id = ${id}`;
  const of = (status: string) => rows.filter((row) => row.status === status).map(({ agent }) => agent);
  return {
    count: context!.n,
    active: of('ACTIVE'),
    waiting: rows.filter(({ waits }) => waits).map(({ agent }) => agent),
  };
};
const told = (id: string, agent: string) =>
  rig.events.flatMap((event) => {
    const { agentId } = (event.data['participant'] ?? {}) as { agentId?: string };
    return event.streamId === id && agentId === agent ? [[event.type, event.data['reason'] ?? null]] : [];
  });

test('what is granted in a full context waits with its reason, and is carried out once somebody leaves, first come first', async () => {
  const id = await approved(1);
  await ask('alice', 'joinContext', id);
  const [bob, carol] = [await request('bob', id), await request('carol', id)];
  await grant(id, carol);
  await grant(id, bob);
  // Told twice it is granted once.
  await grant(id, carol);
  const seen = await rig.ask(
    alice,
    'query ($id: ID!) { context(contextId: $id) { participants(status: [JOINING]) { nodes { agentId status waitsFor approvedAt version } } } }',
    { id },
  );
  const waiting = { status: 'JOINING', waitsFor: 'PLACE', approvedAt: expect.any(String) as string, version: 2 };
  expect(seen['context']!['participants']!['nodes']).toEqual([
    { agentId: 'bob', ...waiting },
    { agentId: 'carol', ...waiting },
  ]);
  // By hand the answer is an error as before.
  expect(
    (await ask('alice', 'decideJoinRequest', id, { participantId: bob, decision: 'APPROVE' }))['userErrors'],
  ).toEqual([{ code: 'CONTEXT_FULL' }]);
  // Who leaves is answered with the place taken again.
  expect(await ask('alice', 'leaveContext', id)).toMatchObject({ context: { participantCount: 1 }, userErrors: [] });
  expect(await stored(id)).toEqual({ count: 1, active: ['carol'], waiting: ['bob'] });
  expect(told(id, 'carol')).toEqual([
    ['context.participant.requested', null],
    ['context.participant.approved', 'CONTEXT_FULL'],
    ['context.participant.joined', null],
  ]);
  const audit = await rig.sql`SELECT action, detail FROM context.audit WHERE resource_id = ${carol} ORDER BY position`;
  expect(audit).toMatchObject([
    { action: 'context.participant.request' },
    { action: 'context.participant.approve', detail: { by: 'alice', waitsFor: 'PLACE' } },
    { action: 'context.participant.seat', detail: { by: 'alice', agentId: 'carol' } },
  ]);
  await ask('carol', 'leaveContext', id);
  expect(await stored(id)).toEqual({ count: 1, active: ['bob'], waiting: [] });
});

test('who waits for a place may be refused, or ask no longer, and then takes none', async () => {
  const id = await approved(1);
  await ask('alice', 'joinContext', id);
  const [bob, carol] = [await request('bob', id), await request('carol', id)];
  await grant(id, bob);
  await grant(id, carol);
  await ask('bob', 'leaveContext', id);
  expect(
    (await ask('alice', 'decideJoinRequest', id, { participantId: carol, decision: 'REFUSE' }))['userErrors'],
  ).toEqual([]);
  await ask('alice', 'leaveContext', id);
  expect(await stored(id)).toEqual({ count: 0, active: [], waiting: [] });
});

test('a context that grows lets in as many as it has places for; what it asks of them by then counts', async () => {
  const id = await approved(1);
  await ask('alice', 'joinContext', id);
  for (const who of ['bob', 'carol', 'dave']) await grant(id, await request(who, id));
  await resize(id, 3);
  const jobs = await rig.sql`SELECT 1 FROM graphile_worker.jobs WHERE key = ${`context.seat:${id}`}`;
  expect(jobs).toHaveLength(1);
  await Promise.all([1, 2, 3].map(() => rig.service.upkeep.seat({ tenantId, contextId: id })));
  expect(await stored(id)).toEqual({ count: 3, active: ['alice', 'bob', 'carol'], waiting: ['dave'] });
  // Each who was seated stands in the audit once, with who had let it in.
  const seats = await rig.sql`SELECT detail->>'agentId' AS who, detail->>'by' AS by FROM context.audit
    WHERE action = 'context.participant.seat' AND detail->>'contextId' = ${id} ORDER BY 1`;
  expect([...seats]).toEqual([
    { who: 'bob', by: 'alice' },
    { who: 'carol', by: 'alice' },
  ]);
  await rig.ask(
    alice,
    'mutation ($id: ID!) { updateContext(contextId: $id, patch: { accessControl: { requiredCapabilities: ["climb"] } }) { userErrors { code } } }',
    { id },
  );
  await ask('bob', 'leaveContext', id);
  expect(await stored(id)).toEqual({ count: 2, active: ['alice', 'carol'], waiting: ['dave'] });
  await rig.ask(
    alice,
    'mutation ($id: ID!) { updateContext(contextId: $id, patch: { accessControl: { requiredCapabilities: [] } }) { userErrors { code } } }',
    { id },
  );
  // The sweep finds what a lost job has left.
  await rig.service.upkeep.sweep();
  expect(await stored(id)).toEqual({ count: 3, active: ['alice', 'carol', 'dave'], waiting: [] });
});

const people = ['p0', 'p1', 'p2', 'p3', 'p4', 'p5'];
const acts = fc.array(
  fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('ask' as const), who: fc.nat(5) }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('grant' as const), who: fc.nat(5) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), who: fc.nat(5) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('add' as const), who: fc.nat(5) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('resize' as const), who: fc.nat(2) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('seat' as const), who: fc.nat(5) }) },
    ),
    // All at once.
    { minLength: 1, maxLength: 5 },
  ),
  { maxLength: 8 },
);

test('never more than there are places for, and nobody waits while there is one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 2 }), acts, async (places, rounds) => {
      const id = await approved(places);
      const requests = new Map<string, string>();
      const run = async ({ kind, who }: { readonly kind: string; readonly who: number }) => {
        const name = people[who]!;
        if (kind === 'ask') {
          const { participant } = await ask(name, 'joinContext', id);
          // Who is in already gets none.
          if (participant) requests.set(name, String(participant['id']));
        } else if (kind === 'grant' && requests.has(name)) await grant(id, requests.get(name)!);
        else if (kind === 'leave') await ask(name, 'leaveContext', id);
        else if (kind === 'resize') await resize(id, who + 1);
        else if (kind === 'seat') await rig.service.upkeep.seat({ tenantId, contextId: id });
        else if (kind === 'add')
          await rig.ask(
            alice,
            'mutation ($input: AddParticipantInput!) { addParticipant(input: $input) { userErrors { code } } }',
            { input: { contextId: id, agentId: name } },
          );
      };
      // It begins with more who were let in than there are places.
      const everyone = people.map((_name, who) => who);
      const begun = ['ask', 'grant'].map((kind) => everyone.map((who) => ({ kind, who })));
      for (const round of [...begun, ...rounds]) {
        await Promise.all(round.map(run));
        const [{ limit } = { limit: 0 }] = await rig.sql<
          { limit: number }[]
        >`SELECT (configuration->>'maxParticipants')::int AS limit FROM context.context WHERE id = ${id}`;
        const during = await stored(id);
        expect(during.active).toHaveLength(during.count);
        expect(during.count).toBeLessThanOrEqual(limit);
        // As the job does that growing leaves behind.
        await rig.service.upkeep.seat({ tenantId, contextId: id });
        const after = await stored(id);
        expect(after.active).toHaveLength(after.count);
        expect(after.count).toBeLessThanOrEqual(limit);
        if (after.count < limit) expect(after.waiting).toEqual([]);
        // Only growing needs it: a place that was left is taken in the same step.
        if (!round.some(({ kind }) => kind === 'resize')) expect(after).toEqual(during);
      }
    }),
    { numRuns: 15 },
  );
}, 60_000);
