import type { GraphQLDataSource } from '@apollo/gateway';
import type { GatewayGraphQLResponse } from '@apollo/server-gateway-interface';
import type { Loaded, TaggedCache } from '#shared/cache.ts';
import { everythingTag, joinKey, tenantTag, variablesKey } from './cacheKey.ts';
import { type CacheableFetch, isFaultless, isTagList, type ProcessOptions, tagsOf } from './subgraphFetch.ts';

/** Life of the answer that there is no such entity: shorter, for not every subgraph can tag what is not there. */
const absentTtlMs = 5_000;

/** A fetch for some of the representations, and where they stood in the request. */
interface Part {
  readonly indexes: readonly number[];
  readonly response: GatewayGraphQLResponse;
}

/** Where the entities of a fetch are kept: apart by what it asks for, by its other variables and by representation. */
export function entityKeys(
  fetchKey: string,
  variables: Readonly<Record<string, unknown>>,
  representations: readonly unknown[],
): string[] {
  const base = joinKey(fetchKey, variablesKey(variables));
  return representations.map((representation) => joinKey(base, variablesKey(representation)));
}

/** Answers an `_entities` fetch: what is kept per representation, and one fetch for those that are missing. */
export async function fetchEntities(
  inner: GraphQLDataSource,
  cache: TaggedCache,
  fetch: CacheableFetch,
): Promise<GatewayGraphQLResponse> {
  const { representations, ...variables } = fetch.options.request.variables ?? {};
  if (!Array.isArray(representations)) return inner.process(fetch.options);
  const keys = entityKeys(fetch.key, variables, representations);
  const parts: Part[] = [];

  async function fetchPart(indexes: readonly number[]): Promise<Part> {
    const whole = indexes.length === representations.length;
    const wanted = indexes.map((index) => representations[index] as unknown);
    const options = whole
      ? fetch.options
      : withRepresentations(fetch.options, { ...variables, representations: wanted });
    const part = { indexes, response: await inner.process(options) };
    parts.push(part);
    return part;
  }

  const cached = await cache.getOrLoadMany(keys, {
    ttlMs: fetch.ttlMs,
    since: fetch.reads.began,
    async load(indexes) {
      const { response } = await fetchPart(indexes);
      const wanted = indexes.map((index) => representations[index] as unknown);
      const others = fetch.ofRows ? rowTags(fetch.request.principal.tenantId, wanted) : null;
      return indexes.map((_index, at) => toLoaded(response, at, { representation: wanted[at], others, fetch }));
    },
  });
  const fetched = new Set(parts.flatMap((part) => part.indexes.map((index) => keys[index])));
  const unshared = keys.flatMap((key, index) => (cached[index]?.value === null && !fetched.has(key) ? [index] : []));
  if (unshared.length > 0) await fetchPart(unshared);

  for (const { tags, stamp, value } of cached) if (value !== null) fetch.reads.add(tags, stamp);
  for (const { response } of parts) {
    const tags = tagsOf(response, fetch);
    if (tags) fetch.reads.add(tags, fetch.reads.began.stamp);
    else fetch.reads.addUnknown();
  }
  const [only] = parts;
  if (only && parts.length === 1 && only.indexes.length === keys.length) return only.response;
  return merge(
    parts,
    keys,
    cached.map(({ value }) => value),
  );
}

type TagSet = ReadonlySet<string>;

/** Tag of the row that a representation names, as it stands in the cache. */
export function rowTag(tenantId: string, representation: unknown): string | null {
  const { __typename: typeName, id } = representation as { __typename?: unknown; id?: unknown };
  return typeof typeName === 'string' && typeof id === 'string' ? tenantTag(tenantId, `${typeName}:${id}`) : null;
}

export function rowTags(tenantId: string, representations: readonly unknown[]): TagSet {
  return new Set(representations.map((each) => rowTag(tenantId, each)).filter((tag) => tag !== null));
}

function toLoaded(
  response: GatewayGraphQLResponse,
  at: number,
  { representation, others, fetch }: { representation: unknown; others: TagSet | null; fetch: CacheableFetch },
): Loaded | null {
  const entities: unknown = response.data?.['_entities'];
  const { tenantId } = fetch.request.principal;
  const all = tagsOf(response, fetch);
  if (!all || !Array.isArray(entities) || !isFaultless(response)) return null;
  const byEntity: unknown = response.extensions?.['cacheTagsByEntity'];
  const own: unknown = Array.isArray(byEntity) ? byEntity[at] : undefined;
  const tags = isTagList(own)
    ? [...own, everythingTag].map((tag) => tenantTag(tenantId, tag))
    : all.filter((tag) => !others?.has(tag));
  const ownTag = rowTag(tenantId, representation);
  if (ownTag !== null) tags.push(ownTag);
  const entity: unknown = entities[at] ?? null;
  const loaded = { value: JSON.stringify(entity), tags: [...new Set(tags)] };
  return entity === null ? { ...loaded, ttlMs: absentTtlMs } : loaded;
}

function merge(
  parts: readonly Part[],
  keys: readonly string[],
  values: readonly (string | Buffer | null)[],
): GatewayGraphQLResponse {
  const fetched = new Map<string, unknown>();
  const errors: NonNullable<GatewayGraphQLResponse['errors']>[number][] = [];
  for (const { indexes, response } of parts) {
    const entities: unknown = response.data?.['_entities'];
    indexes.forEach((index, at) => {
      if (Array.isArray(entities)) fetched.set(keys[index]!, entities[at] ?? null);
    });
    for (const error of response.errors ?? []) errors.push(movedTo(error, indexes));
  }
  const taken = new Set<string>();
  const entities = keys.map((key, index) => {
    const value = values[index];
    const own = fetched.get(key);
    // The object itself for the first who names it; the others need a copy that is theirs alone.
    if (own !== undefined && !taken.has(key)) {
      taken.add(key);
      return own;
    }
    if (value !== null && value !== undefined) return JSON.parse(String(value)) as unknown;
    return own === undefined ? null : structuredClone(own);
  });
  return errors.length > 0 ? { data: { _entities: entities }, errors } : { data: { _entities: entities } };
}

/** An error names the place in what was fetched; the gateway wants the place in what it asked for. */
function movedTo<E extends { path?: readonly (string | number)[] | undefined }>(
  error: E,
  indexes: readonly number[],
): E {
  const [field, at, ...rest] = error.path ?? [];
  if (field !== '_entities' || typeof at !== 'number') return error;
  return { ...error, path: [field, indexes[at] ?? at, ...rest] };
}

function withRepresentations(options: ProcessOptions, variables: Record<string, unknown>): ProcessOptions {
  return { ...options, request: { ...options.request, variables } };
}
