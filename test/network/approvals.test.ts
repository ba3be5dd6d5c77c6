import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import {
  alice,
  codes,
  type Json,
  type NetworkRig,
  openNetworkRig,
  optimize,
  principal,
  readConnection,
  setNodeStatus,
} from './rig.ts';

let rig: NetworkRig;
beforeAll(async () => {
  rig = await openNetworkRig();
  await rig.start();
});
afterAll(() => rig[Symbol.asyncDispose]());

const editor = principal('editor', { scopes: ['network:read', 'network:update'] });
const governor = principal('governor', { scopes: ['network:read', 'network:update', 'governance:override'] });

const shown =
  'status statusReason refusal governance { lastConfirmId } approval { approverRoles approvers quorum required disruptionTolerance } pendingChange { kind reason runId requestedBy confirmId }';
const errors = 'userErrors { code message path }';
const retire = `mutation ($id: ID!, $reason: String, $key: String) { retireNetwork(networkId: $id, reason: $reason, idempotencyKey: $key) { network { ${shown} } ${errors} } }`;
const update = `mutation ($id: ID!, $patch: NetworkPatch!) { updateNetwork(networkId: $id, patch: $patch) { network { ${shown} } ${errors} } }`;
const approval = { approvers: ['olga', 'pavel'], quorum: 'AT_LEAST', required: 2 };

const look = (id: string): Promise<Json> =>
  rig.field(alice, `query ($id: ID!) { network(networkId: $id) { ${shown} } }`, { id });
const lookAtRun = (id: unknown): Promise<Json> =>
  rig.field(alice, 'query ($id: ID!) { networkOptimization(runId: $id) { state refusal appliedAt } }', { id });
/** The request of a network that was told last, as the confirm module hears it. */
const asked = (networkId: string) =>
  rig.events.filter(({ type, streamId }) => type === 'approval.requested' && streamId === networkId).at(-1)?.data[
    'approval'
  ] as Record<string, unknown>;
/** What the confirm module says of it. */
async function answer(networkId: string, status: string, more: object = {}): Promise<string> {
  const { reference, targetId, targetType } = asked(networkId);
  const confirm = { id: newId(), requestEventId: newId(), status, targetType, targetId, reference, ...more };
  await rig.tell('confirm', status === 'pending' ? 'confirm.created' : 'confirm.resolved', { confirm });
  return confirm.id;
}

/** Three connections on one way of a square, one of which an optimisation puts on the other. */
async function crowded(given: object | null) {
  const net = await rig.open(
    'abcd',
    [
      ['ab', { capacityMbps: 10, latencyMs: 1 }],
      ['bd', { capacityMbps: 10, latencyMs: 1 }],
      ['ac', { capacityMbps: 10, latencyMs: 2 }],
      ['cd', { capacityMbps: 10, latencyMs: 2 }],
    ],
    { approval: given },
  );
  const ids: string[] = [];
  for (const bandwidthMbps of [1.2, 1.2, 1.2]) {
    const { connection } = await rig.connect(net.networkId, net.id('a'), net.id('d'), {
      requirements: { bandwidthMbps },
    });
    ids.push(String(connection!['id']));
  }
  return {
    ...net,
    ids,
    ways: async () =>
      (
        await Promise.all(ids.map(async (id) => net.wayOf((await rig.field(alice, readConnection, { id }))['path']!)))
      ).sort(),
    async apply() {
      const payload = await rig.field(alice, optimize, {
        input: { networkId: net.networkId, goals: { latency: 0 }, apply: true },
      });
      expect(codes(payload)).toEqual([]);
      return payload['optimization']!;
    },
  };
}

describe('the end of a network that people are asked about', () => {
  test('waits for its Confirm, and comes when that is approved', async () => {
    const net = await rig.open('ab', [['ab']], { approval });
    const { connection } = await rig.connect(net.networkId, net.id('a'), net.id('b'));
    const waiting = await rig.field(alice, retire, { id: net.networkId, reason: 'moved away' });
    expect(waiting).toMatchObject({
      network: {
        ...{ status: 'ACTIVE', refusal: null },
        approval: { ...approval, approverRoles: [], disruptionTolerance: 0 },
        pendingChange: {
          ...{ kind: 'RETIRE', reason: 'moved away', runId: null, requestedBy: 'alice', confirmId: null },
        },
      },
      userErrors: [],
    });
    expect(asked(net.networkId)).toMatchObject({
      ...{ targetType: 'other', targetId: net.networkId, contextId: rig.contextId, requestedBy: 'alice' },
      ...{ approvers: ['olga', 'pavel'], quorum: { kind: 'at_least', required: 2 } },
      reason: '2 nodes, 1 open connections and 0 services end with it: moved away',
    });
    expect(codes(await rig.field(alice, retire, { id: net.networkId }))).toEqual(['INVALID_STATE']);
    // What a client opens in the network's name decides nothing.
    await answer(net.networkId, 'approved', { requestEventId: null });
    expect(await look(net.networkId)).toMatchObject({ status: 'ACTIVE' });
    const confirmId = await answer(net.networkId, 'pending');
    expect(await look(net.networkId)).toMatchObject({ status: 'ACTIVE', pendingChange: { confirmId } });
    await answer(net.networkId, 'approved', { id: confirmId });
    const retired = { status: 'RETIRED', statusReason: 'moved away', pendingChange: null };
    expect(await look(net.networkId)).toMatchObject({ ...retired, governance: { lastConfirmId: confirmId } });
    expect(await rig.field(alice, readConnection, { id: connection!['id'] })).toMatchObject({ status: 'CLOSED' });
    // Heard once more it changes nothing.
    const told = rig.events.length;
    await answer(net.networkId, 'approved', { id: confirmId });
    expect(rig.events.length).toBe(told);
  });

  test('is dropped when it is refused, when nobody can be asked, and when the network was locked meanwhile', async () => {
    const net = await rig.open('ab', [['ab']], { approval });
    await rig.field(alice, retire, { id: net.networkId });
    await answer(net.networkId, 'rejected', { resolution: 'we need it' });
    expect(await look(net.networkId)).toMatchObject({
      ...{ status: 'ACTIVE', pendingChange: null, refusal: 'the Confirm was rejected: we need it' },
    });
    // An approval counts for what it was given for, not for what was asked later.
    const first = asked(net.networkId)['reference'];
    await rig.field(alice, retire, { id: net.networkId });
    await answer(net.networkId, 'approved', { reference: first });
    expect(await look(net.networkId)).toMatchObject({ status: 'ACTIVE', refusal: null, pendingChange: {} });
    await rig.tell('confirm', 'approval.refused', { approval: asked(net.networkId), message: 'nobody may approve it' });
    expect(await look(net.networkId)).toMatchObject({ pendingChange: null, refusal: 'nobody may approve it' });
    await rig.field(alice, retire, { id: net.networkId });
    await rig.field(alice, update, { id: net.networkId, patch: { governance: { locked: true } } });
    await answer(net.networkId, 'approved');
    expect(await look(net.networkId)).toMatchObject({
      ...{ status: 'ACTIVE', pendingChange: null, refusal: 'the network is locked by governance' },
    });
  });

  test('is asked for once under one idempotency key, and not where it is impossible', async () => {
    const net = await rig.open('ab', [['ab']], { approval });
    const once = () => rig.field(alice, retire, { id: net.networkId, key: 'retire-once' });
    expect([codes(await once()), codes(await once())]).toEqual([[], []]);
    const requests = rig.events.filter(
      ({ type, streamId }) => type === 'approval.requested' && streamId === net.networkId,
    );
    expect(requests.length).toBe(1);
    const draft = await rig.open('ab', [['ab']], { approval, provision: false });
    expect(codes(await rig.field(alice, retire, { id: draft.networkId }))).toEqual(['INVALID_STATE_TRANSITION']);
    expect(asked(draft.networkId)).toBeUndefined();
  });

  test('who is asked is set by administrators, and taken away by an override alone', async () => {
    const net = await rig.open('ab', [['ab']]);
    const denied = { code: 'PERMISSION_DENIED' };
    const set = (who: typeof alice, given: object | null) =>
      rig.field(who, update, { id: net.networkId, patch: { approval: given } });
    await expect(set(editor, approval)).rejects.toMatchObject(denied);
    expect(codes(await set(alice, { quorum: 'SINGLE' }))).toEqual(['VALIDATION_FAILED']);
    expect(codes(await set(alice, { approvers: ['olga'], required: 2 }))).toEqual(['VALIDATION_FAILED']);
    expect(codes(await set(alice, { approvers: ['olga'], disruptionTolerance: 1.1 }))).toEqual(['VALIDATION_FAILED']);
    expect(await look(net.networkId)).toMatchObject({ approval: null });
    expect(await set(alice, { approverRoles: ['operator'], disruptionTolerance: 0.25 })).toMatchObject({
      network: {
        approval: {
          ...{ approverRoles: ['operator'], approvers: [], quorum: 'SINGLE', required: null },
          disruptionTolerance: 0.25,
        },
      },
    });
    await expect(set(alice, null)).rejects.toMatchObject(denied);
    await expect(set(alice, { approvers: ['alice'] })).rejects.toMatchObject(denied);
    const patch = { name: 'Renamed' };
    expect(codes(await rig.field(editor, update, { id: net.networkId, patch }))).toEqual([]);
    expect(await set(governor, null)).toMatchObject({ network: { approval: null }, userErrors: [] });
    expect(await rig.field(alice, retire, { id: net.networkId })).toMatchObject({ network: { status: 'RETIRED' } });
  });
});

describe('an optimisation that moves more than people want to be moved unasked', () => {
  test('waits for its Confirm, and moves the connections when that is approved', async () => {
    const net = await crowded(approval);
    const optimization = await net.apply();
    expect(optimization).toMatchObject({ appliedAt: null, changes: [{}] });
    const runId = optimization['runId'];
    expect(await lookAtRun(runId)).toMatchObject({ state: 'WAITING', appliedAt: null });
    expect(await net.ways()).toEqual(['abd', 'abd', 'abd']);
    expect(await look(net.networkId)).toMatchObject({ pendingChange: { kind: 'OPTIMIZE', runId } });
    expect(asked(net.networkId)).toMatchObject({
      subject: { kind: 'optimize', moves: 1, openConnections: 3 },
      reason:
        '1 of 3 open connections get other ways, 0 of them in real time; the fullest link goes from 45 % to 30 % of its capacity',
    });
    const again = await rig.field(alice, optimize, {
      input: { networkId: net.networkId, goals: { latency: 0 }, apply: true },
    });
    expect(codes(again)).toEqual(['INVALID_STATE']);
    const confirmId = await answer(net.networkId, 'approved');
    expect(await net.ways()).toEqual(['abd', 'abd', 'acd']);
    expect(await lookAtRun(runId)).toMatchObject({ state: 'APPLIED', refusal: null, appliedAt: expect.any(String) });
    expect(await look(net.networkId)).toMatchObject({ pendingChange: null, governance: { lastConfirmId: confirmId } });
    expect(await rig.reserved(net.networkId)).toEqual(await rig.held(net.networkId));
  });

  test('is dropped when it is refused', async () => {
    const net = await crowded(approval);
    const { runId } = await net.apply();
    await answer(net.networkId, 'expired');
    expect(await lookAtRun(runId)).toMatchObject({ state: 'REFUSED', refusal: 'the Confirm was expired' });
    expect(await look(net.networkId)).toMatchObject({ pendingChange: null, refusal: 'the Confirm was expired' });
    expect(await net.ways()).toEqual(['abd', 'abd', 'abd']);
  });

  test('is applied at once as far as the network bears it, and computed freely', async () => {
    const net = await crowded({ ...approval, disruptionTolerance: 0.34 });
    const dry = await rig.field(alice, optimize, { input: { networkId: net.networkId, goals: { latency: 0 } } });
    expect(await lookAtRun(dry['optimization']!['runId'])).toMatchObject({ state: 'COMPUTED' });
    expect(await lookAtRun((await net.apply())['runId'])).toMatchObject({ state: 'APPLIED' });
    expect(await net.ways()).toEqual(['abd', 'abd', 'acd']);
    expect(asked(net.networkId)).toBeUndefined();
  });

  test('is held against the network of that moment: what is gone is not moved, what is no better is not done', async () => {
    const left = await crowded(approval);
    const { runId: gone, changes } = await left.apply();
    const moved = String(changes!.map(({ connectionId }) => connectionId)[0 as never]);
    await rig.field(alice, 'mutation ($id: ID!) { terminateConnection(connectionId: $id) { userErrors { code } } }', {
      id: moved,
    });
    await answer(left.networkId, 'approved');
    expect(await lookAtRun(gone)).toMatchObject({
      state: 'REFUSED',
      refusal: 'the network has changed since its routes were computed: none of the moves can be made any more',
    });

    const worse = await crowded(approval);
    const { runId } = await worse.apply();
    // Those on the old way have gone: the new one is no emptier than it.
    const run = await rig.field(
      alice,
      'query ($id: ID!) { networkOptimization(runId: $id) { changes { connectionId } } }',
      { id: runId },
    );
    const mover = String(run['changes']!.map(({ connectionId }) => connectionId)[0 as never]);
    for (const id of worse.ids.filter((one) => one !== mover))
      await rig.field(alice, 'mutation ($id: ID!) { terminateConnection(connectionId: $id) { userErrors { code } } }', {
        id,
      });
    await answer(worse.networkId, 'approved');
    expect(await lookAtRun(runId)).toMatchObject({
      state: 'REFUSED',
      refusal: 'the network has changed since its routes were computed: the moves that are left make it no better',
    });

    const down = await crowded(approval);
    const { runId: blocked } = await down.apply();
    await rig.field(alice, setNodeStatus, { networkId: down.networkId, nodeId: down.id('c'), status: 'UNREACHABLE' });
    await answer(down.networkId, 'approved');
    expect(await lookAtRun(blocked)).toMatchObject({ state: 'REFUSED' });
    expect(await down.ways()).toEqual(['abd', 'abd', 'abd']);
    // A structure that has changed elsewhere is no reason to drop it.
    const other = await crowded(approval);
    const { runId: still } = await other.apply();
    await rig.field(
      alice,
      'mutation ($id: ID!, $node: NetworkNodeInput!, $links: [NetworkLinkInput!]) { addNetworkNode(networkId: $id, node: $node, links: $links) { userErrors { code } } }',
      { id: other.networkId, node: { id: newId(), name: 'e' }, links: [] },
    );
    await answer(other.networkId, 'approved');
    expect(await lookAtRun(still)).toMatchObject({ state: 'APPLIED' });
    expect(await other.ways()).toEqual(['abd', 'abd', 'acd']);
  });
});
