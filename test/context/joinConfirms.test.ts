import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { answerJoinRequests } from '../../subgraphs/context/joinConfirms.ts';
import { alice, bob, type ContextRig, type Json, openContextRig } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const fields = '{ participant { id agentId status version } userErrors { code } }';
const approved = (configuration: object = {}) =>
  rig.createContext(alice, { accessControl: { joinPolicy: 'APPROVAL' }, configuration });
const join = async (who: typeof bob, id: string): Promise<Json> =>
  (await rig.ask(who, `mutation ($id: ID!) { answer: joinContext(contextId: $id) ${fields} }`, { id }))['answer']!;
const byHand = async (
  who: typeof bob,
  id: string,
  participant: string,
  decision: string,
): Promise<readonly string[]> => {
  const { data } = await rig.run(
    who,
    `mutation ($id: ID!, $p: ID!, $d: ContextJoinDecision!) { answer: decideJoinRequest(contextId: $id, participantId: $p, decision: $d) ${fields} }`,
    { id, p: participant, d: decision },
  );
  const { answer: payload } = data as unknown as { answer: { userErrors: { code: string }[] } };
  return payload.userErrors.map(({ code }) => code);
};
const requestsOf = (participantId: string) =>
  rig.events.flatMap((event) =>
    event.streamId === participantId && event.type === 'approval.requested'
      ? [(event as EventRow).data['approval'] as Record<string, unknown>]
      : [],
  );
/** What the confirm module tells of the Confirm that was opened for a request. */
const answer = (approval: Record<string, unknown>, status: string, more: { actor?: string; confirm?: object } = {}) =>
  answerJoinRequests({ logger: pino({ level: 'silent' }) }, rig.service.participants, [
    {
      ...{ tenantId: 'one', actor: more.actor ?? 'alice', type: 'confirm.resolved', streamId: newId(), sequence: 1 },
      ...{ eventId: newId(), module: 'confirm', tags: [], createdAt: new Date().toISOString() },
      data: {
        confirm: { ...approval, id: newId(), status, requestEventId: newId(), resolution: 'because', ...more.confirm },
      },
    } as unknown as EventRow,
  ]);
const standing = async (participantId: string) =>
  (
    (await rig.sql`SELECT status, version FROM context.participant WHERE id = ${participantId}`) as unknown as {
      status: string;
      version: number;
    }[]
  )[0]!;
const toldOf = (contextId: string) =>
  rig.events.filter(({ streamId, type }) => streamId === contextId && /participant\.(joined|refused)/.test(type));

test('the owner is asked about each request once, and its Confirm is about the request, not the context', async () => {
  const id = await approved();
  const { participant } = await join(bob, id);
  await join(bob, id);
  const participantId = String(participant!['id']);
  expect(requestsOf(participantId)).toMatchObject([
    {
      ...{ targetType: 'other', targetId: participantId, contextId: id, confirmationType: 'join_request' },
      ...{ author: 'bob', approvers: ['alice'], delegationAllowed: false },
      reference: { kind: 'context.participant', contextId: id, participantId },
    },
  ]);
  // Who is let in at once asks nobody.
  const open = await rig.createContext(alice, {});
  const at = await join(bob, open);
  expect(at['participant']).toMatchObject({ status: 'ACTIVE' });
  expect(requestsOf(String(at['participant']!['id']))).toEqual([]);
});

test.each([
  ['approved', 'ACTIVE', 'context.participant.joined', null],
  ['rejected', 'LEFT', 'context.participant.refused', 'because'],
])('%s leaves it %s, once, and tells so', async (status, left, type, reason) => {
  const id = await approved();
  const participantId = String((await join(bob, id))['participant']!['id']);
  const [request] = requestsOf(participantId);
  await answer(request!, status);
  await answer(request!, status);
  await answer(request!, status === 'approved' ? 'rejected' : 'approved');
  expect(await standing(participantId)).toEqual({ status: left, version: 2 });
  expect(toldOf(id)).toMatchObject([{ type, actor: 'alice', data: { reason } }]);
});

test('nothing comes of what was cancelled, opened by a client, or decided by one who may not', async () => {
  const id = await approved();
  const participantId = String((await join(bob, id))['participant']!['id']);
  const request = requestsOf(participantId)[0]!;
  await answer(request, 'cancelled');
  await answer(request, 'approved', { confirm: { requestEventId: null } });
  await answer(request, 'approved', { actor: 'carol' });
  await answer(request, 'approved', { actor: 'bob' });
  expect(await standing(participantId)).toEqual({ status: 'JOINING', version: 1 });
});

test('who asks again after a refusal is asked about anew, and the old answer concerns nobody', async () => {
  const id = await approved();
  const first = String((await join(bob, id))['participant']!['id']);
  await answer(requestsOf(first)[0]!, 'rejected');
  const second = String((await join(bob, id))['participant']!['id']);
  expect(second).not.toBe(first);
  await answer(requestsOf(first)[0]!, 'approved');
  expect([await standing(first), await standing(second)]).toMatchObject([{ status: 'LEFT' }, { status: 'JOINING' }]);
  await answer(requestsOf(second)[0]!, 'approved');
  expect(await standing(second)).toMatchObject({ status: 'ACTIVE' });
});

test('by hand and by a Confirm at once it is decided once', async () => {
  for (const [hand, status] of [
    ['APPROVE', 'rejected'],
    ['REFUSE', 'approved'],
    ['APPROVE', 'approved'],
  ] as const) {
    const id = await approved();
    const participantId = String((await join(bob, id))['participant']!['id']);
    const request = requestsOf(participantId)[0]!;
    const [codes] = await Promise.all([
      byHand(alice, id, participantId, hand),
      answer(request, status),
      answer(request, status),
    ]);
    expect(toldOf(id)).toHaveLength(1);
    const wonByHand = codes.length === 0;
    expect(codes).toEqual(wonByHand ? [] : ['INVALID_STATE']);
    const isIn = wonByHand ? hand === 'APPROVE' : status === 'approved';
    expect(await standing(participantId)).toEqual({ status: isIn ? 'ACTIVE' : 'LEFT', version: 2 });
    const [counted] =
      (await rig.sql`SELECT participant_count AS n FROM context.context WHERE id = ${id}`) as unknown as [
        { n: number },
      ];
    expect(counted.n).toBe(isIn ? 1 : 0);
  }
});
