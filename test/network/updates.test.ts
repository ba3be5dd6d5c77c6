import { expect, test } from 'vitest';
import { sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';

interface Update {
  readonly networkEvent: {
    readonly type: string;
    readonly network: { readonly name: string };
    readonly connection: { readonly id: string; readonly status: string } | null;
    readonly service: null;
    readonly data: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
}

test('what happens in a network leads to what it happened to, and tells no column of the store', async () => {
  await using platform = await sharePlatform({ mode: 'one process' });
  const token = await platform.token({ tenant: 'network-updates', subject: 'alice', roles: ['admin'] });
  async function act<Payload>(field: string, type: string, selection: string, input: object): Promise<Payload> {
    const answer = await platform.query<Record<string, Payload & { readonly userErrors: readonly unknown[] }>>(
      `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} userErrors { code message } } }`,
      { input },
      { token },
    );
    expect([answer.errors, answer.data?.[field]?.userErrors]).toEqual([[], []]);
    return answer.data![field]!;
  }
  const { context } = await act<{ context: { id: string } }>('createContext', 'CreateContextInput', 'context { id }', {
    ...{ title: 'A room', root: { domain: 'd', environment: 'e' } },
  });
  const nodeIds = [crypto.randomUUID(), crypto.randomUUID()] as const;
  const { network } = await act<{ network: { id: string } }>(
    ...(['createNetwork', 'CreateNetworkInput', 'network { id }'] as const),
    {
      ...{ contextId: context.id, name: 'Two', topologyType: 'OTHER', provision: true },
      nodes: nodeIds.map((id, at) => ({ id, name: `node ${at}` })),
      links: [{ sourceId: nodeIds[0], targetId: nodeIds[1] }],
    },
  );
  const updates = subscribe<Update>({
    url: platform.url,
    query:
      'subscription ($id: ID!) { networkEvent(networkId: $id) { type network { name } connection { id status } service { id } data } }',
    variables: { id: network.id },
    token,
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const { connection } = await act<{ connection: { id: string } }>(
    ...(['establishConnection', 'EstablishConnectionInput', 'connection { id }'] as const),
    { networkId: network.id, source: { nodeId: nodeIds[0] }, destination: { nodeId: nodeIds[1] } },
  );
  const opened = (update: Update) => update.networkEvent.connection?.id === connection.id;
  await updates.until((payloads) => payloads.some(opened), 20_000);
  await updates.close();
  expect(updates.errors).toEqual([]);
  const { networkEvent } = updates.payloads.find(opened)!;
  expect(networkEvent).toMatchObject({ network: { name: 'Two' }, service: null });
  expect(networkEvent.data['connection']).toMatchObject({ id: connection.id, contextId: context.id });
  expect(JSON.stringify(updates.payloads)).not.toContain('tenantId');
});
