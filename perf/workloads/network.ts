import { randomUUID } from 'node:crypto';
import {
  type CreateWorkload,
  type GraphqlCall,
  type RequestOperation,
  readPath,
  withoutUserErrors,
} from '../load/workload.ts';
import { contextId, seededContext } from '../seeds/context.ts';
import { largeNetwork, type NetworkSeed, networkId, nodeId, nodesPerNetwork } from '../seeds/network.ts';

export interface NetworkParams {
  readonly seed: NetworkSeed;
  /** Bearer tokens of different agents of the tenant. */
  readonly tokens: readonly string[];
  /** Of who may create networks. */
  readonly admin: string;
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
}

const readTopology = `query ReadTopology($id: ID!) {
  network(networkId: $id) {
    id name status version stats { nodeCount linkCount diameter components }
    nodes { id name kind status }
    links { id sourceId targetId status latencyMs capacityMbps }
  }
}`;
const establish = `mutation Establish($input: EstablishConnectionInput!) {
  establishConnection(input: $input) {
    connection { id status qualityScore path { linkId nodeId nextHop } predicted { latencyMs hops } }
    userErrors { code message }
  }
}`;
const createTopology = `mutation CreateTopology($input: CreateNetworkInput!) {
  createNetwork(input: $input) {
    network { id status } stats { nodeCount linkCount diameter vertexConnectivity } userErrors { code message }
  }
}`;
const types = ['MESH', 'HUB_SPOKE', 'HIERARCHICAL', 'OTHER'] as const;

/** Reads of whole networks, connections between any two nodes of the large one, and new networks of 100 nodes. */
export const createWorkload: CreateWorkload<NetworkParams> = ({ seed, tokens, admin, mix }) => {
  const callers = tokens.map((token) => ({ authorization: `Bearer ${token}` }));
  const facts = { connected: 0, hops: 0 };
  const large = largeNetwork(seed);
  let context = 0;
  while (seededContext(context).status !== 'active') context += 1;

  const next: Readonly<Record<string, RequestOperation['next']>> = {
    read_topology(random): GraphqlCall {
      const id = networkId(random.integer(seed.networks));
      return {
        query: readTopology,
        variables: { id },
        headers: random.pick(callers),
        check({ data }) {
          if (readPath(data, 'network', 'id') !== id) return 'another network came back';
          const nodes = readPath(data, 'network', 'nodes');
          return (Array.isArray(nodes) && nodes.length === nodesPerNetwork) || 'the network came without its nodes';
        },
      };
    },
    establish_connection(random): GraphqlCall {
      const source = random.integer(seed.nodes);
      const target = (source + 1 + random.integer(seed.nodes - 1)) % seed.nodes;
      return {
        query: establish,
        variables: {
          input: {
            networkId: networkId(large),
            source: { nodeId: nodeId(large, source) },
            destination: { nodeId: nodeId(large, target) },
            requirements: { bandwidthMbps: 1, latencyMaxMs: 500 },
            idempotencyKey: randomUUID(),
          },
        },
        headers: random.pick(callers),
        check(response) {
          const verdict = withoutUserErrors(response, 'establishConnection');
          if (verdict !== true) return verdict;
          const path = readPath(response.data, 'establishConnection', 'connection', 'path');
          if (!Array.isArray(path) || path.length === 0) return 'a connection without a path';
          facts.connected += 1;
          facts.hops += path.length;
          const ends = [readPath(path[0], 'nodeId'), readPath(path.at(-1), 'nextHop')];
          return (
            (ends[0] === nodeId(large, source) && ends[1] === nodeId(large, target)) || 'a path between other nodes'
          );
        },
      };
    },
    create_topology(random): GraphqlCall {
      const topologyType = random.pick(types);
      return {
        query: createTopology,
        variables: {
          input: {
            contextId: contextId(context),
            name: `network ${random.integer(1e9)}`,
            topologyType,
            nodes: Array.from({ length: nodesPerNetwork }, (_, at) => ({ name: `node ${at}` })),
            idempotencyKey: randomUUID(),
          },
        },
        headers: { authorization: `Bearer ${admin}` },
        check(response) {
          const verdict = withoutUserErrors(response, 'createNetwork');
          if (verdict !== true) return verdict;
          const nodes = readPath(response.data, 'createNetwork', 'stats', 'nodeCount');
          return nodes === nodesPerNetwork || `expected ${nodesPerNetwork} nodes, got ${String(nodes)}`;
        },
      };
    },
  };
  return {
    operations: Object.entries(mix).map(([name, weight]): RequestOperation => ({ name, weight, next: next[name]! })),
    facts: () => facts,
  };
};
