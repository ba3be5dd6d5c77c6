import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { sameDocument, validateEvent, validateProtocolObject } from '../../schema/protocol/index.ts';
import { confirmCodec } from '../../subgraphs/confirm/codec.ts';
import { alice, bob, type ConfirmRig, carol, codesOf, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const contextId = newId();
const minimal = () => ({
  meta: { protocol_version: '1.0.0', schema_version: '1.0.0' },
  confirm_id: newId(),
  target_type: 'plan',
  target_id: newId(),
  status: 'pending',
  requested_by_role: 'planner',
  requested_at: '2026-01-01T10:00:00.123456+05:30',
});
const documents = [
  minimal(),
  { ...minimal(), decisions: [], events: [], governance: {}, reason: '' },
  {
    ...minimal(),
    target_type: 'context',
    target_id: contextId,
    status: 'rejected',
    reason: 'no',
    requested_at: '1990-12-31T23:59:60Z',
    decisions: [
      { decision_id: newId(), status: 'approved', decided_by_role: 'lead', decided_at: '2026-01-01T00:00:00Z' },
      {
        decision_id: newId(),
        status: 'rejected',
        decided_by_role: 'board',
        decided_at: '2026-01-02T00:00:00.5Z',
        reason: 'ä',
      },
      { decision_id: newId(), status: 'cancelled', decided_by_role: 'x', decided_at: '2026-01-03T00:00:00Z' },
    ],
  },
  {
    ...minimal(),
    meta: { ...minimal().meta, tags: ['a'], cross_cutting: ['security'], created_at: '2026-01-01T00:00:00Z' },
    governance: { locked: true, lastConfirmRef: { id: newId(), module: 'confirm', description: '' } },
    trace: { trace_id: newId(), span_id: newId(), context_id: contextId, attributes: { 'a.b': 1 } },
    events: [
      { event_id: newId(), event_type: 'confirm.created', source: 's', timestamp: '2026-01-01T00:00:00Z', data: null },
    ],
  },
];

test('what is imported is given back to the letter, with a chain that holds', async () => {
  for (const document of documents) expect(validateProtocolObject('confirm', document)).toEqual([]);
  await rig.sql.begin(async (tx) => {
    const changes = await confirmCodec.write(tx, alice, documents);
    await appendChange(tx, 'confirm', changes);
  });
  const ids = documents.map((document) => document.confirm_id);
  const found = await confirmCodec.read(rig.sql, 'one', ids);
  for (const document of documents) {
    expect(found.get(document.confirm_id)).toEqual(document);
    expect(sameDocument(found.get(document.confirm_id) as object, document)).toBe(true);
    expect(await rig.service.verify('one', document.confirm_id)).toMatchObject({ valid: true });
  }
  expect((await confirmCodec.read(rig.sql, 'two', ids)).size).toBe(0);
  expect(await confirmCodec.idsOfContext(rig.sql, 'one', contextId)).toEqual([ids[2], ids[3]]);
  await expect(rig.sql.begin((tx) => confirmCodec.write(tx, alice, [documents[0]!]))).rejects.toThrow('meanwhile');
});

test('what is imported pending waits for one decision, of its role in the inbox, of anybody who may decide otherwise', async () => {
  rig.roles.current = new Map([['planner', ['alice', 'carol', 'dave']]]);
  // It decides about a plan: of the role those are asked who may approve plans.
  rig.rights.granted.set('plan:approve', ['alice', 'carol']);
  const able = (subject: string) => principal(subject, { scopes: ['confirm:read', 'confirm:approve', 'plan:approve'] });
  const [routed, open, rejected] = [minimal(), minimal(), minimal()];
  const started = await rig.service.start();
  await rig.sql.begin(async (tx) => {
    const changes = await confirmCodec.write(tx, alice, [routed, open, rejected]);
    await appendChange(tx, 'confirm', changes);
  });
  const read = async (id: string) =>
    (
      await rig.ask(
        bob,
        'query ($id: ID!) { confirm(id: $id) { status phase expiresAt nextDeadlineAt document approvers { subject state role } decisions { approver outcome } } }',
        { id },
      )
    )['confirm']!;
  // Who brought it in holds the role too, and is passed over.
  await vi.waitFor(
    async () => {
      await rig.service.catchUp();
      expect((await read(routed.confirm_id))['approvers']).toEqual([
        { subject: 'carol', state: 'WAITING', role: 'planner' },
      ]);
    },
    { timeout: 15_000, interval: 100 },
  );
  const { approvalsInbox } = await rig.ask(carol, '{ approvalsInbox { nodes { confirm { id } } } }');
  expect(approvalsInbox!['nodes']).toContainEqual({ confirm: { id: routed.confirm_id } });
  expect((await read(routed.confirm_id))['document']).toEqual(routed);
  await started.close();

  expect(codesOf(await rig.decide(alice, open.confirm_id, 'APPROVED'))).toEqual(['SELF_APPROVAL_FORBIDDEN']);
  expect(codesOf(await rig.decide(principal('bob', { tenantId: 'two' }), open.confirm_id, 'APPROVED'))).toEqual([
    'NOT_FOUND',
  ]);
  await expect(rig.decide(bob, open.confirm_id, 'APPROVED')).rejects.toThrow('plan:approve');
  expect(await rig.decide(able('carol'), routed.confirm_id, 'APPROVED')).toMatchObject({
    confirm: { status: 'APPROVED' },
  });
  expect(await rig.decide(able('bob'), open.confirm_id, 'APPROVED')).toMatchObject({ confirm: { status: 'APPROVED' } });
  expect(codesOf(await rig.decide(able('bob'), open.confirm_id, 'REJECTED'))).toEqual(['ALREADY_DECIDED']);
  expect(codesOf(await rig.decide(able('bob'), rejected.confirm_id, 'REJECTED', { rationale: null }))).toEqual([
    'RATIONALE_REQUIRED',
  ]);
  expect(await rig.decide(able('bob'), rejected.confirm_id, 'REJECTED')).toMatchObject({
    confirm: { status: 'REJECTED' },
  });
  for (const { confirm_id: id } of [routed, open, rejected]) {
    const { document, decisions } = await read(id);
    expect(validateProtocolObject('confirm', document)).toEqual([]);
    expect(document!['decisions']).toHaveLength(1);
    expect(decisions).toHaveLength(1);
    expect(await rig.service.verify('one', id)).toMatchObject({ valid: true });
  }
  expect((await read(rejected.confirm_id))['document']).toMatchObject({ status: 'rejected', reason: 'no' });
});

test('what was made here is a frozen document too', async () => {
  const id = await rig.open(alice, { reason: 'because' });
  await rig.decide(bob, id, 'DEFERRED');
  await rig.decide(bob, id, 'REJECTED', { rationale: 'no' });
  const document = (await confirmCodec.read(rig.sql, 'one', [id])).get(id);
  expect(validateProtocolObject('confirm', document)).toEqual([]);
  expect(document).toMatchObject({
    status: 'rejected',
    reason: 'no',
    decisions: [{ status: 'rejected', reason: 'no' }],
  });
});

test('what happens is told in the frozen envelopes, without anybody’s words', async () => {
  const id = await rig.open(alice, { reason: 'secret words' });
  await rig.decide(bob, id, 'APPROVED', { rationale: 'secret words' });
  const told = (await rig.stream(id)).flatMap((event) => confirmCodec.observe!(event));
  expect(told.map((event) => event['event_type'])).toEqual([
    'confirm_created',
    'confirm_pending',
    'decision_added',
    'approval_reasoning',
    'confirm_resolved',
  ]);
  for (const event of told) expect(validateEvent(event)).toEqual([]);
  expect(JSON.stringify(told)).not.toContain('secret');
  expect(new Set(told.map((event) => event['event_id'])).size).toBe(told.length);
});
