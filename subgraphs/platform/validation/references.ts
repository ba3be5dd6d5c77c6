import { PlatformError } from '#shared/errors.ts';
import type { Graph } from '#shared/graph.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';

/** Keyword of a schema that says which objects of the graph a text has to be the id of. */
export const referenceKeyword = 'x-references';

/** Root fields by which an object of each type is found, as whoever asks may see it. */
const rootFields = {
  Collaboration: 'collaboration(id: $ID)',
  Confirm: 'confirm(id: $ID)',
  Context: 'context(contextId: $ID)',
  Dialog: 'dialog(id: $ID)',
  Extension: 'extension(id: $ID)',
  Network: 'network(networkId: $ID)',
  Plan: 'plan(planId: $ID)',
  Role: 'role(roleId: $ID)',
  Trace: 'trace(traceId: $ID)',
} as const;
export type ReferenceType = keyof typeof rootFields;
export const referenceTypes = Object.keys(rootFields) as readonly ReferenceType[];

export function isReferenceType(name: unknown): name is ReferenceType {
  return typeof name === 'string' && Object.hasOwn(rootFields, name);
}

export interface Reference {
  readonly type: ReferenceType;
  readonly id: string;
  /** JSON pointer into the data. */
  readonly path: string;
}

/** Objects asked for in one operation: as many root fields as it may have. */
const pageSize = 10;
/** What a caller may not see is told apart from what is not there by nobody. */
const hidden: ReadonlySet<string> = new Set(['NOT_FOUND', 'PERMISSION_DENIED']);

/** The references that lead to nothing the principal can see. @throws {UNAVAILABLE} where that cannot be told. */
export async function findMissing(
  graph: Graph,
  principal: Principal,
  references: readonly Reference[],
  signal?: AbortSignal,
): Promise<readonly Reference[]> {
  const wellFormed = references.filter(({ id }) => isId(id));
  const asked = [...new Map(wellFormed.map((one) => [`${one.type} ${one.id}`, one])).values()];
  const found = new Set<string>();
  for (let from = 0; from < asked.length; from += pageSize) {
    const page = asked.slice(from, from + pageSize);
    const fields = page.map(({ type }, at) => `r${at}: ${rootFields[type].replace('$ID', `$i${at}`)} { id }`);
    const { data, errors } = await graph.execute(
      `query (${page.map((_, at) => `$i${at}: ID!`).join(', ')}) { ${fields.join(' ')} }`,
      Object.fromEntries(page.map(({ id }, at) => [`i${at}`, id])),
      principal,
      signal,
    );
    if (errors.some(({ code }) => !hidden.has(code)))
      throw new PlatformError('UNAVAILABLE', 'what the data refers to cannot be looked for at the moment', {
        retryAfterMs: 1_000,
      });
    page.forEach(({ type, id }, at) => {
      if (data?.[`r${at}`] != null) found.add(`${type} ${id}`);
    });
  }
  return references.filter(({ type, id }) => !found.has(`${type} ${id}`));
}
