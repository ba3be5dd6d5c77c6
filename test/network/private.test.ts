import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alice, bob, codes, type NetworkRig, openNetworkRig, readConnection, readNetwork } from './rig.ts';

let rig: NetworkRig;
beforeAll(async () => {
  rig = await openNetworkRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** What the module has heard of the context. */
const hear = (visibility: string, ownerId: string) =>
  rig.sql`INSERT INTO network.replica (tenant_id, type, id, status, detail, sequence) VALUES ('one', 'Context', ${rig.contextId}, 'active', ${rig.sql.json({ visibility, ownerId })}, 1)
    ON CONFLICT (tenant_id, type, id) DO UPDATE SET detail = EXCLUDED.detail`;

describe('networks of private contexts', () => {
  test('are there for the owner alone: reads, lists, ways, connections, streams', async () => {
    const net = await rig.open('ab', [['ab']]);
    const { connection } = await rig.connect(net.networkId, net.id('a'), net.id('b'));
    const list = 'query { networks { nodes { id } } }';
    const entities =
      'query ($all: [_Any!]!) { _entities(representations: $all) { ... on NetworkNode { id } ... on NetworkLink { id } } }';
    const all = [
      { __typename: 'NetworkNode', networkId: net.networkId, id: net.id('a') },
      { __typename: 'NetworkLink', id: net.link('ab') },
    ];
    const admit = () =>
      rig.streams['networkEvent']!.admit(bob, { networkId: net.networkId }, { sql: rig.sql }).then(
        () => 'admitted',
        (error: { code: string }) => error.code,
      );
    const see = async () => [
      (await rig.field(bob, readNetwork, { id: net.networkId })) !== null,
      (await rig.field(bob, list))['nodes']!.length,
      (await rig.field(bob, readConnection, { id: connection!['id'] })) !== null,
      (await rig.field(bob, entities, { all })).map((entity) => entity !== null),
      await admit(),
    ];
    await hear('PUBLIC', 'alice');
    expect(await see()).toEqual([true, 1, true, [true, true], 'admitted']);
    await hear('PRIVATE', 'alice');
    expect(await see()).toEqual([false, 0, false, [false, false], 'NOT_FOUND']);
    expect(await rig.field(alice, readNetwork, { id: net.networkId })).toMatchObject({ id: net.networkId });
    const input = { networkId: net.networkId, source: { nodeId: net.id('a') }, destination: { nodeId: net.id('b') } };
    const refused = await rig.field(
      bob,
      'mutation ($input: EstablishConnectionInput!) { establishConnection(input: $input) { userErrors { code } } }',
      { input },
    );
    expect(codes(refused)).toEqual(['NOT_FOUND']);
    const beat = await rig.field(
      bob,
      'mutation ($id: ID!, $node: ID!) { networkHeartbeat(networkId: $id, nodeId: $node) { userErrors { code } } }',
      { id: net.networkId, node: net.id('a') },
    );
    expect(codes(beat)).toEqual(['NOT_FOUND']);
    await expect(
      rig.field(bob, 'query ($id: ID!) { networkHealth(networkId: $id) { overall } }', { id: net.networkId }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
    // Who takes part sees it.
    await rig.sql`INSERT INTO network.replica (tenant_id, type, id, status, detail, sequence)
      VALUES ('one', 'ContextParticipant', gen_random_uuid(), 'ACTIVE', ${rig.sql.json({ contextId: rig.contextId, agentId: 'bob' })}, 1)`;
    expect(await see()).toEqual([true, 1, true, [true, true], 'admitted']);
  });
});
