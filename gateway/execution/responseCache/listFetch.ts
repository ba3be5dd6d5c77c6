import type { GraphQLDataSource } from '@apollo/gateway';
import type { GatewayGraphQLResponse } from '@apollo/server-gateway-interface';
import type { Found, Loaded, TaggedCache } from '#shared/cache.ts';
import { joinKey, variablesKey } from './cacheKey.ts';
import { entityKeys, fetchEntities, rowTag, rowTags } from './entityFetch.ts';
import type { ListPlan, RowPlace } from './listPlan.ts';
import { type CacheableFetch, isFaultless, type ProcessOptions, tagsOf } from './subgraphFetch.ts';

interface Representation {
  readonly __typename: string;
  readonly id: string;
}

/** An answer taken apart: the rows of each place, and the rest with their ids where they stood. */
interface Parts {
  readonly list: unknown;
  readonly rows: readonly (readonly { readonly id: string }[])[];
}

/**
 * Answers a query for a list: its ids are kept as one entry, each row as the entry that an `_entities` fetch for the same
 * fields has. So a row that changes makes itself stale and not the lists it stands in, and is fetched once for all of them.
 * A row may then be newer than the list by what the list has not heard of yet; where one is gone, all is fetched anew.
 */
export async function fetchList(
  inner: GraphQLDataSource,
  cache: TaggedCache,
  { fetch, plan, keyOf }: { fetch: CacheableFetch; plan: ListPlan; keyOf: (place: RowPlace) => string },
): Promise<GatewayGraphQLResponse> {
  const { options, reads } = fetch;
  let own: GatewayGraphQLResponse | undefined;

  const cached = await cache.getOrLoad(joinKey(fetch.key, 'ids', variablesKey(options.request.variables)), {
    ttlMs: fetch.ttlMs,
    since: reads.began,
    async load(): Promise<Loaded | null> {
      own = await inner.process(options);
      const tags = tagsOf(own, fetch);
      const parts = tags && own.data && isFaultless(own) ? takeApart(own.data, plan) : null;
      if (!tags || parts === null) return null;
      const { tenantId } = fetch.request.principal;
      const shown = parts.rows.map((rows, at) => rows.map(({ id }) => ({ __typename: plan[at]!.typeName, id })));
      const ofRows = rowTags(tenantId, shown.flat());
      const ofList = tags.filter((tag) => !ofRows.has(tag));
      plan.forEach((place, at) => {
        const found = toFound(parts.rows[at]!, { shown: shown[at]!, ofList, tenantId, key: keyOf(place) });
        cache.keep(found, { ttlMs: ageOf(place), since: reads.began });
      });
      return { value: JSON.stringify(parts.list), tags: ofList };
    },
  });

  if (own === undefined && cached.value !== null) {
    reads.add(cached.tags, cached.stamp);
    const data = await putTogether(JSON.parse(String(cached.value)), plan, (place, representations) =>
      fetchEntities(inner, cache, {
        ...fetch,
        options: askFor(options, place, representations),
        key: keyOf(place),
        ttlMs: ageOf(place),
        ofRows: true,
      }),
    );
    if (data !== null) return { data };
  }
  own ??= await inner.process(options);
  const tags = tagsOf(own, fetch);
  if (tags) reads.add(tags, reads.began.stamp);
  else reads.addUnknown();
  return own;
}

const ageOf = ({ policy }: RowPlace) => (policy.maxAgeSeconds ?? 0) * 1_000;

function askFor(options: ProcessOptions, place: RowPlace, representations: readonly Representation[]): ProcessOptions {
  const { operationName: _name, ...request } = options.request;
  return {
    ...options,
    ...('document' in options ? { document: place.document } : {}),
    request: { ...request, query: place.text, variables: { representations } },
  };
}

function toFound(
  rows: readonly { readonly id: string }[],
  of: { shown: readonly Representation[]; ofList: readonly string[]; tenantId: string; key: string },
): Found[] {
  const keys = entityKeys(of.key, {}, of.shown);
  return rows.map((row, at) => ({
    key: keys[at]!,
    value: JSON.stringify(row),
    tags: [...of.ofList, rowTag(of.tenantId, of.shown[at])!],
  }));
}

/** Null where something stands in place of a row that has no id. */
function takeApart(data: unknown, plan: ListPlan): Parts | null {
  let whole = true;
  let list = data;
  const rows = plan.map(({ path }) => {
    const found: { readonly id: string }[] = [];
    list = replaceAt(list, path, (row) => {
      const { id } = row as { id?: unknown };
      if (typeof id !== 'string') whole = false;
      else found.push(row as { readonly id: string });
      return id;
    });
    return found;
  });
  return whole ? { list, rows } : null;
}

/** The answer of its list and its rows; null where one of them cannot be had. */
async function putTogether(
  list: unknown,
  plan: ListPlan,
  ask: (place: RowPlace, representations: readonly Representation[]) => Promise<GatewayGraphQLResponse>,
): Promise<Record<string, unknown> | null> {
  const answers = await Promise.all(
    plan.map(async (place) => {
      const representations: Representation[] = [];
      replaceAt(list, place.path, (id) => representations.push({ __typename: place.typeName, id: String(id) }));
      if (representations.length === 0) return [];
      const answer = await ask(place, representations);
      const entities: unknown = answer.data?.['_entities'];
      return Array.isArray(entities) && isFaultless(answer) ? (entities as unknown[]) : [null];
    }),
  );
  if (answers.flat().some((entity) => entity === null || entity === undefined)) return null;
  let whole = list;
  plan.forEach(({ path }, at) => {
    let next = 0;
    whole = replaceAt(whole, path, () => answers[at]![next++]);
  });
  return whole as Record<string, unknown>;
}

/** A copy in which what stands at the end of a path is replaced, in lists each element; null stays. */
function replaceAt(value: unknown, path: readonly string[], replace: (row: unknown) => unknown): unknown {
  if (value === null || value === undefined) return value;
  if (Array.isArray(value)) return value.map((each) => replaceAt(each, path, replace));
  const [key, ...rest] = path;
  if (key === undefined) return replace(value);
  return { ...value, [key]: replaceAt((value as Record<string, unknown>)[key], rest, replace) };
}
