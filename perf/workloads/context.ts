import { randomUUID } from 'node:crypto';
import type { Random } from '../load/random.ts';
import { createZipf } from '../load/sampler.ts';
import {
  type CreateWorkload,
  type GraphqlResponse,
  type RequestOperation,
  readPath,
  type Verdict,
  withoutUserErrors,
} from '../load/workload.ts';
import { seededContext } from '../seeds/context.ts';
import { containsWord, domains, searchWords, sentence } from '../seeds/words.ts';

export interface ContextParams {
  readonly contexts: number;
  /** Bearer tokens of different agents of the tenant. */
  readonly tokens: readonly string[];
  /** With it the mix has deletes, done by this token on contexts that the run itself created. */
  readonly deleting?: { readonly token: string; readonly url: string } | undefined;
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
}

const getContext = `query GetContext($id: ID!) {
  context(contextId: $id) {
    id title summary status type domain environment tags priority version participantCount ownerId createdAt updatedAt
  }
}`;
const searchContexts = `query SearchContexts($query: String!, $filter: ContextFilter) {
  searchContexts(query: $query, filter: $filter, first: 20) {
    totalCount
    pageInfo { hasNextPage endCursor }
    edges { score node { id title summary status domain tags version updatedAt } }
  }
}`;
const updateContext = `mutation UpdateContext($id: ID!, $patch: ContextPatch!, $version: Int) {
  updateContext(contextId: $id, patch: $patch, expectedVersion: $version) {
    context { id version summary tags updatedAt }
    userErrors { code message }
  }
}`;
const createContext = `mutation CreateContext($input: CreateContextInput!) {
  createContext(input: $input) { context { id title status version } userErrors { code message } }
}`;
const createContexts = `mutation CreateContexts($inputs: [CreateContextInput!]!) {
  createContexts(inputs: $inputs) { created failed results { context { id } } userErrors { code message } }
}`;
const deleteContext = `mutation DeleteContext($id: ID!) {
  deleteContext(contextId: $id) { contextId deleted restorableUntil userErrors { code message } }
}`;

interface FoundNode {
  readonly title: string;
  readonly summary: string | null;
  readonly domain: string;
  readonly tags: readonly string[];
}

const pageSize = 20;
const deletableAtStart = 50;

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** What agents create: a context of some field with a summary and tags. */
export function contextInput(random: Random): Record<string, unknown> {
  const domain = random.pick(domains);
  return {
    title: `${sentence(random, domain, 4)} ${random.integer(1e9)}`,
    root: { domain, environment: 'production' },
    summary: sentence(random, domain, 20),
    tags: [domain, `week-${1 + random.integer(52)}`],
    // A key of the seeded sequence would make the next run's creations repeats of this one's.
    idempotencyKey: randomUUID(),
  };
}

/** Creates contexts in one request, so that the first deletes of a run find something of their own. */
async function createSome(url: string, token: string, inputs: readonly unknown[]): Promise<string[]> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...bearer(token), 'content-type': 'application/json' },
    body: JSON.stringify({ query: createContexts, variables: { inputs } }),
  });
  const answer = (await response.json()) as GraphqlResponse;
  const results = readPath(answer.data, 'createContexts', 'results');
  if (!Array.isArray(results)) throw new Error(`no contexts were created: ${JSON.stringify(answer).slice(0, 300)}`);
  return results.map((result) => String(readPath(result, 'context', 'id')));
}

/** Reads, searches, updates and creations of contexts by Zipf. Reads that answer less than was acknowledged are wrong. */
export const createWorkload: CreateWorkload<ContextParams> = async (params, { random: setup }) => {
  const { contexts, mix, deleting } = params;
  const zipf = createZipf(contexts);
  const words = createZipf(searchWords.length);
  const callers = params.tokens.map(bearer);
  const seeded = Array.from({ length: contexts }, (_, index) => seededContext(index));
  /** Highest version anybody was told of, and the one a client would send with its next update; 0: to be read again. */
  const acknowledged = new Uint32Array(contexts).fill(1);
  const known = new Uint32Array(contexts).fill(1);
  const stale: number[] = [];
  const facts = { searches: 0, matches: 0, updates: 0, conflicts: 0, deletes: 0 };
  const deletable = deleting
    ? await createSome(
        deleting.url,
        deleting.token,
        Array.from({ length: deletableAtStart }, () => contextInput(setup)),
      )
    : [];

  function see(index: number, version: number): void {
    if (version > acknowledged[index]!) acknowledged[index] = version;
    if (version > known[index]!) known[index] = version;
  }

  const operations: Record<string, RequestOperation['next']> = {
    get_context(random) {
      const index = stale.pop() ?? zipf.sample(random);
      const { id, title } = seeded[index]!;
      const least = acknowledged[index]!;
      return {
        query: getContext,
        variables: { id },
        headers: random.pick(callers),
        check(response): Verdict {
          const found = readPath(response.data, 'context') as { id: string; title: string; version: number } | null;
          if (found?.id !== id || found.title !== title) return `expected context ${id}, got ${JSON.stringify(found)}`;
          if (found.version < least) return `expected version ${least} or later of ${id}, got ${found.version}`;
          see(index, found.version);
          return true;
        },
      };
    },

    search_contexts(random) {
      const query = searchWords[words.sample(random)]!;
      // A third with filters: of a field of work, of a status.
      const kind = random.integer(6);
      const domain = kind === 0 ? random.pick(domains) : undefined;
      const filter = domain ? { domain } : kind === 1 ? { status: ['ACTIVE', 'SUSPENDED'] } : undefined;
      return {
        query: searchContexts,
        variables: { query, filter },
        headers: random.pick(callers),
        check(response): Verdict {
          const page = readPath(response.data, 'searchContexts');
          const total = Number(readPath(page, 'totalCount'));
          const edges = readPath(page, 'edges') as { score: number; node: FoundNode & { status: string } }[];
          facts.searches += 1;
          facts.matches += total;
          if (edges.length !== Math.min(pageSize, total))
            return `expected ${Math.min(pageSize, total)} of ${total}, got ${edges.length}`;
          let last = Number.POSITIVE_INFINITY;
          for (const { score, node } of edges) {
            const text = `${node.title} ${node.summary} ${node.tags.join(' ')}`;
            if (!containsWord(text, query)) return `expected "${query}" in "${text.slice(0, 200)}"`;
            if (domain !== undefined && node.domain !== domain) return `expected ${domain}, got ${node.domain}`;
            if (kind === 1 && node.status !== 'ACTIVE' && node.status !== 'SUSPENDED')
              return `a ${node.status} context came`;
            if (score > last) return 'the scores do not fall';
            last = score;
          }
          return true;
        },
      };
    },

    update_context(random) {
      let index = zipf.sample(random);
      // What is closed the platform archives during a long run, and then it is read-only.
      while (known[index] === 0 || seeded[index]!.status === 'closed') index = zipf.sample(random);
      const { id, domain } = seeded[index]!;
      const version = known[index]!;
      const summary = sentence(random, domain, 20);
      const patch =
        random.integer(3) === 0 ? { summary, tags: [domain, `week-${1 + random.integer(52)}`] } : { summary };
      return {
        query: updateContext,
        variables: { id, patch, version },
        headers: random.pick(callers),
        check(response): Verdict {
          facts.updates += 1;
          const payload = readPath(response.data, 'updateContext');
          if (readPath(payload, 'userErrors', 0, 'code') === 'VERSION_CONFLICT') {
            facts.conflicts += 1;
            if (known[index] === version) {
              known[index] = 0;
              stale.push(index);
            }
            return true;
          }
          const clean = withoutUserErrors(response, 'updateContext');
          if (clean !== true) return clean;
          const found = readPath(payload, 'context') as { version: number; summary: string };
          if (found.version !== version + 1 || found.summary !== summary)
            return `expected version ${version + 1}, got ${JSON.stringify(found)}`;
          see(index, found.version);
          return true;
        },
      };
    },

    create_context(random) {
      const input = contextInput(random);
      return {
        query: createContext,
        variables: { input },
        headers: deleting ? bearer(deleting.token) : random.pick(callers),
        check(response): Verdict {
          const clean = withoutUserErrors(response, 'createContext');
          if (clean !== true) return clean;
          const found = readPath(response.data, 'createContext', 'context') as {
            id: string;
            title: string;
            version: number;
          };
          if (found.title !== input['title'] || found.version !== 1)
            return `another context was created: ${JSON.stringify(found)}`;
          if (deleting) deletable.push(found.id);
          return true;
        },
      };
    },

    delete_context() {
      const id = deletable.shift();
      if (id === undefined || !deleting) throw new Error('no context of this run is left to delete');
      return {
        query: deleteContext,
        variables: { id },
        headers: bearer(deleting.token),
        check(response): Verdict {
          facts.deletes += 1;
          const clean = withoutUserErrors(response, 'deleteContext');
          if (clean !== true) return clean;
          const payload = readPath(response.data, 'deleteContext');
          return (
            (readPath(payload, 'contextId') === id && readPath(payload, 'deleted') === true) || `${id} was not deleted`
          );
        },
      };
    },
  };

  return {
    operations: Object.entries(mix).map(([name, weight]): RequestOperation => {
      const next = operations[name];
      if (!next) throw new Error(`the context mix has no operation ${name}`);
      return { name, weight, next };
    }),
    facts: () => facts,
  };
};
