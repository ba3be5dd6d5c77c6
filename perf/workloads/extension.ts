import { createZipf } from '../load/sampler.ts';
import {
  type CreateWorkload,
  type GraphqlCall,
  type RequestOperation,
  readPath,
  withoutUserErrors,
} from '../load/workload.ts';
import { capabilityId, capabilityNames, type ExtensionSeed, extensionId } from '../seeds/extension.ts';
import { searchWords } from '../seeds/words.ts';

export interface ExtensionParams {
  readonly seed: ExtensionSeed;
  /** Bearer tokens of the agents, by number. */
  readonly tokens: readonly string[];
  readonly admin: string;
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
}

const discover = `query Discover($query: DiscoverExtensionsInput!) {
  discoverExtensions(query: $query, first: 20) {
    totalCount edges { score reasons node { id name version runtimeState trustLevel } } pageInfo { hasNextPage endCursor }
  }
}`;
const load = `mutation Load($input: LoadExtensionInput!) {
  loadExtension(input: $input) {
    extension { id runtimeState } sandbox { id status } registeredCapabilities { id } phases { validateMs resolveMs sandboxMs healthMs } userErrors { code message }
  }
}`;
const execute = `mutation Execute($input: ExecuteExtensionInput!) {
  executeExtension(input: $input) { executionId status result executionTimeMs userErrors { code message } }
}`;

/** Milliseconds a call works in its sandbox. */
const workMs = 5;

/** Searches over all extensions, loads of installed ones (each once), calls of running ones. */
export const createWorkload: CreateWorkload<ExtensionParams> = ({ seed, tokens, admin, mix }, { worker, workers }) => {
  const words = createZipf(searchWords.length);
  const capabilities = createZipf(capabilityNames.length);
  const extensions = createZipf(seed.running);
  const callers = tokens.map((token) => ({ authorization: `Bearer ${token}` }));
  const adminHeaders = { authorization: `Bearer ${admin}` };
  const facts = { pages: 0, found: 0 };
  let loaded = worker;

  const next: Readonly<Record<string, RequestOperation['next']>> = {
    extension_discovery(random): GraphqlCall {
      const word = searchWords[words.sample(random)]!;
      const query =
        random.integer(4) === 0
          ? { text: word, capability: capabilityNames[capabilities.sample(random)]!, minTrust: 'LOW' }
          : { text: word };
      return {
        query: discover,
        variables: { query },
        headers: random.pick(callers),
        check({ data }) {
          const edges = readPath(data, 'discoverExtensions', 'edges');
          if (!Array.isArray(edges)) return 'no page';
          facts.pages += 1;
          facts.found += edges.length;
          const scores = edges.map((edge) => Number(readPath(edge, 'score')));
          return scores.every((score, at) => at === 0 || score <= scores[at - 1]!) || 'not in the order of the scores';
        },
      };
    },
    load_extension(): GraphqlCall {
      const index = seed.running + loaded;
      loaded += workers;
      return {
        query: load,
        variables: { input: { extensionId: extensionId(index) } },
        headers: adminHeaders,
        check(response) {
          if (index >= seed.running + seed.installed)
            return 'the data set has too few installed extensions for this load';
          const verdict = withoutUserErrors(response, 'loadExtension');
          if (verdict !== true) return verdict;
          const state = readPath(response.data, 'loadExtension', 'extension', 'runtimeState');
          return state === 'ACTIVE' || `it is ${String(state)}`;
        },
      };
    },
    execute_extension(random): GraphqlCall {
      const index = extensions.sample(random);
      return {
        query: execute,
        variables: {
          input: {
            extensionId: extensionId(index),
            capabilityId: capabilityId(index),
            method: 'work',
            parameters: { ms: workMs },
          },
        },
        headers: random.pick(callers),
        check(response) {
          const verdict = withoutUserErrors(response, 'executeExtension');
          if (verdict !== true) return verdict;
          return readPath(response.data, 'executeExtension', 'result') === '1.0.0' || 'another result came back';
        },
      };
    },
  };
  return {
    operations: Object.entries(mix).map(([name, weight]): RequestOperation => ({ name, weight, next: next[name]! })),
    facts: () => facts,
  };
};
