import {
  type CreateWorkload,
  type GraphqlCall,
  type RequestOperation,
  readPath,
  withoutUserErrors,
} from '../load/workload.ts';
import { largeNetwork, type NetworkSeed, networkId, nodeId } from '../seeds/network.ts';

export interface NetworkHeavyParams {
  readonly seed: NetworkSeed;
  /** Of who may optimise. */
  readonly admin: string;
  readonly operation: 'route_optimization' | 'network_analysis';
}

const demandsPerMatrix = 500;
const optimizeRoutes = `mutation OptimizeRoutes($input: OptimizeRoutesInput!) {
  optimizeRoutes(input: $input) {
    optimization {
      runId before { maxUtilization unroutedMbps congestionCost } after { maxUtilization unroutedMbps congestionCost } lowerBound boundIsTight boundKind gap
      timeBudgetExhausted
    }
    userErrors { code message }
  }
}`;
const networkAnalysis = `query NetworkAnalysis($id: ID!, $seed: Int!) {
  networkAnalysis(networkId: $id, seed: $seed) {
    nodes links components diameterHops averageHops approximate bridges { linkId } cutNodes { nodeId }
    central { nodeId betweenness } minimumCut { weight } singleFailures { id pairsLost } healthScore survivableShare
  }
}`;

/** One heavy operation over the large network, each time with another matrix or seed. */
export const createWorkload: CreateWorkload<NetworkHeavyParams> = ({ seed, admin, operation }) => {
  const large = largeNetwork(seed);
  const headers = { authorization: `Bearer ${admin}` };
  const facts = { gaps: 0, answers: 0, tight: 0 };
  const next: Readonly<Record<typeof operation, RequestOperation['next']>> = {
    route_optimization(random): GraphqlCall {
      const demands = Array.from({ length: demandsPerMatrix }, () => {
        const source = random.integer(seed.nodes);
        const target = (source + 1 + random.integer(seed.nodes - 1)) % seed.nodes;
        return { source: nodeId(large, source), target: nodeId(large, target), mbps: 100 + random.integer(900) };
      });
      return {
        query: optimizeRoutes,
        variables: {
          input: { networkId: networkId(large), demands, seed: random.integer(1e9), timeBudgetMs: 1_000 },
        },
        headers,
        check(response) {
          const verdict = withoutUserErrors(response, 'optimizeRoutes');
          if (verdict !== true) return verdict;
          const read = (...path: string[]) => readPath(response.data, 'optimizeRoutes', 'optimization', ...path);
          facts.answers += 1;
          facts.gaps += Number(read('gap'));
          if (read('boundIsTight') === true) facts.tight += 1;
          const isNoWorse = (name: string) =>
            Number(read('after', name)) <= Number(read('before', name)) * (1 + 1e-9) + 1e-12;
          return ['unroutedMbps', 'maxUtilization', 'congestionCost'].every(isNoWorse) || 'worse than before';
        },
      };
    },
    network_analysis: (random): GraphqlCall => ({
      query: networkAnalysis,
      variables: { id: networkId(large), seed: random.integer(1e9) },
      headers,
      check({ data }) {
        const nodes = readPath(data, 'networkAnalysis', 'nodes');
        return nodes === seed.nodes || `expected ${seed.nodes} nodes, got ${String(nodes)}`;
      },
    }),
  };
  return { operations: [{ name: operation, weight: 1, next: next[operation] }], facts: () => facts };
};
