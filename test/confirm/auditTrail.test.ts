import { afterAll, beforeAll, expect, test } from 'vitest';
import { admin, alice, bob, type ConfirmRig, carol, type Json, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const text = `query ($id: ID!, $first: Int, $after: String, $last: Int) { confirm(id: $id) {
  decisions { sequence outcome hash }
  auditTrail(first: $first, after: $after, last: $last) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes { id kind action actor at status phase decisions { sequence outcome hash } } } } }`;
const read = async (id: string, page: object = {}): Promise<Json> =>
  (await rig.ask(alice, text, { id, ...page }))['confirm']!;
const trail = async (id: string, page: object = {}): Promise<Json> => (await read(id, page))['auditTrail']!;
const kinds = async (id: string) => (await trail(id))['nodes']!.map(({ kind }) => String(kind));
const steps = { approvers: [{ subject: 'bob' }, { subject: 'carol' }], quorum: { kind: 'UNANIMOUS' } };

test('what was done with a confirm is told in its order, each decision with its seal', async () => {
  const id = await rig.open(alice, steps);
  await rig.open(alice, steps);
  await rig.decide(bob, id, 'APPROVED', { rationale: 'fine' });
  await rig.decide(carol, id, 'APPROVED', { rationale: 'by me too' });
  const confirm = await read(id);
  const [found, decisions] = [confirm['auditTrail']!, confirm['decisions']!];
  expect(found['totalCount']).toBe(3);
  expect(found['nodes']).toMatchObject([
    { kind: 'CREATED', action: 'confirm.create', actor: 'alice', status: 'PENDING', decisions: [] },
    { kind: 'REVIEWED', action: 'confirm.decide', actor: 'bob', status: 'PENDING', decisions: [decisions[0]] },
    {
      ...{ kind: 'APPROVED', action: 'confirm.decide', actor: 'carol', status: 'APPROVED', phase: 'COMPLETED' },
      decisions: [decisions[1]],
    },
  ]);
  const ids = found['nodes']!.map((node) => node['id']);
  const first = await trail(id, { first: 1 });
  expect(first['pageInfo']!['hasNextPage']).toBe(true);
  const rest = await trail(id, { first: 5, after: first['pageInfo']!['endCursor'] });
  expect([...first['nodes']!.map((node) => node['id']), ...rest['nodes']!.map((node) => node['id'])]).toEqual(ids);
  expect((await trail(id, { last: 1 }))['nodes']!.map((node) => node['id'])).toEqual([ids[2]]);
});

test('a refused call leaves no entry, nor does one that has been answered before', async () => {
  const id = await rig.open(alice, { ...steps, idempotencyKey: 'once' });
  await rig.decide(alice, id, 'APPROVED', { rationale: 'my own' });
  const decided = { rationale: 'fine', idempotencyKey: 'decided' };
  await rig.decide(bob, id, 'APPROVED', decided);
  await rig.decide(bob, id, 'APPROVED', decided);
  expect(await kinds(id)).toEqual(['CREATED', 'REVIEWED']);
});

test('ends, hand-overs and deadlines are told for what they are', async () => {
  const rejected = await rig.open(alice);
  await rig.decide(bob, rejected, 'REJECTED');
  expect(await kinds(rejected)).toEqual(['CREATED', 'REJECTED']);

  const cancelled = await rig.open(alice);
  await rig.ask(
    alice,
    'mutation ($id: ID!) { cancelConfirm(confirmId: $id, reason: "no more") { userErrors { code } } }',
    {
      id: cancelled,
    },
  );
  await rig.ask(alice, 'mutation ($id: ID!) { archiveConfirm(confirmId: $id) { userErrors { code } } }', {
    id: cancelled,
  });
  expect(await kinds(cancelled)).toEqual(['CREATED', 'CANCELLED', 'UPDATED']);

  const delegated = await rig.open(alice);
  await rig.decide(bob, delegated, 'DELEGATED', { delegateTo: 'carol' });
  expect(await kinds(delegated)).toEqual(['CREATED', 'DELEGATED']);

  const late = await rig.open(alice, {
    workflow: {
      type: 'ESCALATION',
      globalTimeoutMs: 2 * 3_600_000,
      steps: [
        {
          approvers: [{ subject: 'bob' }],
          timeout: { duration: 1, unit: 'HOURS', action: 'ESCALATE' },
          escalation: [{ subject: 'carol', timeoutHours: 24 }],
        },
      ],
    },
  });
  const process = (hours: number) =>
    rig.service.escalations.process({ tenantId: 'one', nowMs: Date.now() + hours * 3_600_000, limit: 1_000 });
  await process(1.1);
  await process(2.1);
  const entries = (await trail(late))['nodes']!;
  expect(entries.map(({ kind }) => kind)).toEqual(['CREATED', 'ESCALATED', 'EXPIRED']);
  expect(entries.map(({ actor }) => String(actor)).slice(1)).toEqual(['system:confirm', 'system:confirm']);
});

test('the trail of another tenant is out of reach', async () => {
  const id = await rig.open(alice);
  const stranger = principal('alice', { tenantId: 'two' });
  expect(await rig.ask(stranger, text, { id })).toEqual({ confirm: null });
  // The same id in the other tenant's audit is none of this confirm's.
  await rig.sql`INSERT INTO confirm.audit (tenant_id, id, action, resource, resource_id, actor, detail)
    VALUES ('two', gen_random_uuid(), 'confirm.create', 'Confirm', ${id}, 'mallory', '{}'),
           ('one', gen_random_uuid(), 'workflowTemplate.created', 'WorkflowTemplate', ${id}, 'mallory', '{}')`;
  expect((await trail(id))['nodes']!.map(({ actor }) => actor)).toEqual(['alice']);
});

test('entries of documents, which count their decisions, have a kind', async () => {
  const id = await rig.open(admin);
  await rig.sql`INSERT INTO confirm.audit (tenant_id, id, action, resource, resource_id, actor, detail)
    VALUES ('one', gen_random_uuid(), 'confirm.import', 'Confirm', ${id}, 'importer', '{"decisions": 2}')`;
  expect((await trail(id))['nodes']).toMatchObject([
    { kind: 'CREATED' },
    { kind: 'CREATED', action: 'confirm.import', status: null, phase: null, decisions: [] },
  ]);
});
