type Json = Record<string, unknown>;

interface Seeding {
  readonly run: (field: string, document: string, variables: Json) => Promise<Json>;
  readonly say: (name: string) => string;
  readonly contextId: string;
  readonly roleId: string;
}

/** A network with a connection, a service, a message and a run, and their ids by the names that arguments have. */
export async function seedNetwork({ run, say, contextId, roleId }: Seeding): Promise<Readonly<Record<string, string>>> {
  const errors = 'userErrors { code message path }';
  const idOf = (payload: Json, name: string, key = 'id') =>
    String((payload[name] as Json | null | undefined)?.[key] ?? crypto.randomUUID());
  const [nodeId, nextNodeId] = [crypto.randomUUID(), crypto.randomUUID()];
  const created = await run(
    'createNetwork',
    `mutation ($input: CreateNetworkInput!) { createNetwork(input: $input) { network { id links { id } } ${errors} } }`,
    {
      input: {
        contextId,
        name: say('network'),
        description: say('network description'),
        topologyType: 'OTHER',
        provision: true,
        nodes: [
          { id: nodeId, name: say('node'), roleId, capabilities: [say('node capability')] },
          { id: nextNodeId, name: say('next node') },
        ],
        links: [{ sourceId: nodeId, targetId: nextNodeId }],
      },
    },
  );
  const network = created['network'] as { id: string; links: { id: string }[] } | null | undefined;
  const networkId = network?.id ?? crypto.randomUUID();
  const connected = await run(
    'establishConnection',
    `mutation ($input: EstablishConnectionInput!) { establishConnection(input: $input) { connection { id } ${errors} } }`,
    {
      input: {
        networkId,
        source: { nodeId },
        destination: { nodeId: nextNodeId },
        requirements: { bandwidthMbps: 1 },
      },
    },
  );
  const registered = await run(
    'registerService',
    `mutation ($input: RegisterServiceInput!) { registerService(input: $input) { service { id } ${errors} } }`,
    {
      input: {
        networkId,
        name: say('service'),
        providerNodeId: nodeId,
        endpoints: [{ host: 'walk.example', port: 443, protocol: 'HTTPS' }],
        ttlMs: 86_400_000,
      },
    },
  );
  const sent = await run(
    'sendNetworkMessage',
    `mutation ($input: SendNetworkMessageInput!) { sendNetworkMessage(input: $input) { message { messageId } ${errors} } }`,
    {
      input: {
        networkId,
        senderId: nextNodeId,
        recipients: [nodeId],
        payload: { note: say('message') },
        ttlMs: 86_400_000,
      },
    },
  );
  const optimized = await run(
    'optimizeRoutes',
    `mutation ($input: OptimizeRoutesInput!) { optimizeRoutes(input: $input) { optimization { runId } ${errors} } }`,
    { input: { networkId, timeBudgetMs: 50 } },
  );
  // In maintenance no figures are taken of it each minute behind the walk's back.
  await run(
    'setNetworkMaintenance',
    `mutation ($id: ID!, $reason: String) { setNetworkMaintenance(networkId: $id, on: true, reason: $reason) { ${errors} } }`,
    { id: networkId, reason: say('maintenance') },
  );
  return {
    ...{ networkId, nodeId, nextNodeId },
    linkId: network?.links[0]?.id ?? crypto.randomUUID(),
    connectionId: idOf(connected, 'connection'),
    serviceId: idOf(registered, 'service'),
    networkMessageId: idOf(sent, 'message', 'messageId'),
    runId: idOf(optimized, 'optimization', 'runId'),
  };
}
