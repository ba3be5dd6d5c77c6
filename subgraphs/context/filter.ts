import { z } from 'zod';
import { participates } from '#shared/contextAudience.ts';
import type { Principal } from '#shared/principal.ts';
import { json, parseInput, text } from '#shared/validation.ts';
import { administeredCondition, seesEverything, takesPart, viewerKeys, visibleCondition } from './access.ts';

const word = text({ max: 1_000 });
const words = z.array(word).max(100).nullish();
const range = z.object({ from: z.date().nullish(), to: z.date().nullish() }).nullish();

const contextFilter = z.object({
  type: words,
  status: words,
  lifecycleStage: words,
  ownerId: word.nullish(),
  tagsAny: words,
  tagsAll: words,
  domain: word.nullish(),
  environment: word.nullish(),
  language: word.nullish(),
  createdAt: range,
  updatedAt: range,
  namePattern: word.nullish(),
  participantAgentId: word.nullish(),
  metadata: z
    .array(z.object({ key: word, value: json({ maxBytes: 65_536 }) }))
    .max(10)
    .nullish(),
});

const searchQuery = text({ max: 1_000 });

export type ContextFilter = z.output<typeof contextFilter>;

/** Which contexts a list, a count, facets or statistics are about. */
export interface ContextSelection {
  readonly filter: ContextFilter;
  readonly query: string | null;
}

/** @throws {VALIDATION_FAILED} naming the part of the filter that breaks its rule. */
export function readSelection(filter: unknown, query: string | null | undefined): ContextSelection {
  const checked = parseInput(contextFilter, filter ?? {}, ['filter']);
  const asked = query == null ? null : parseInput(searchQuery, query, ['query']).trim();
  return { filter: checked, query: asked === '' ? null : asked };
}

/** Whether it leaves nothing out: then only what comes, goes or changes its visibility changes what is selected. */
export function selectsAll({ filter, query }: ContextSelection): boolean {
  return query === null && Object.values(filter).every((value) => value === undefined || value === null);
}

/** Collects the parameters of a statement that is put together. */
export class Parameters {
  readonly values: (string | number | boolean | string[] | null)[] = [];

  /** Placeholder of a value. Times and JSON go as text: the server reads them. */
  bind(value: string | number | boolean | readonly string[] | null, type: string): string {
    this.values.push(value as string | number | boolean | string[] | null);
    return ['timestamptz', 'jsonb'].includes(type)
      ? `$${this.values.length}::text::${type}`
      : `$${this.values.length}::${type}`;
  }
}

/** Conditions on `context.context c`: the tenant's, not deleted, visible to the principal, and what the filter says. */
export function contextConditions(
  parameters: Parameters,
  principal: Principal,
  { filter, query }: ContextSelection,
): string {
  const conditions = [`c.tenant_id = ${parameters.bind(principal.tenantId, 'text')}`, 'c.deleted_at IS NULL'];
  // Bound only where it is used: the server refuses a parameter it cannot type.
  const subject = seesEverything(principal) ? null : parameters.bind(principal.subject, 'text');
  const administered =
    subject === null ? 'true' : administeredCondition('c', principal, (ids) => parameters.bind(ids, 'uuid[]'));
  if (subject !== null) {
    const keys = parameters.bind(viewerKeys(principal), 'text[]');
    conditions.push(`(${administered} OR ${visibleCondition('c', { subject, keys })})`);
  }
  const oneOf = (column: string, list: readonly string[] | null | undefined) => {
    if (list) conditions.push(`c.${column} = ANY(${parameters.bind(list, 'text[]')})`);
  };
  const equal = (column: string, value: string | null | undefined) => {
    if (value != null) conditions.push(`c.${column} = ${parameters.bind(value, 'text')}`);
  };
  const within = (column: string, bounds: ContextFilter['createdAt']) => {
    if (bounds?.from) conditions.push(`c.${column} >= ${parameters.bind(bounds.from.toISOString(), 'timestamptz')}`);
    if (bounds?.to) conditions.push(`c.${column} <= ${parameters.bind(bounds.to.toISOString(), 'timestamptz')}`);
  };
  oneOf('type', filter.type);
  oneOf(
    'status',
    filter.status?.map((status) => status.toLowerCase()),
  );
  oneOf('lifecycle_stage', filter.lifecycleStage);
  equal('owner_id', filter.ownerId);
  equal('domain', filter.domain);
  equal('environment', filter.environment);
  equal('language', filter.language);
  within('created_at', filter.createdAt);
  within('updated_at', filter.updatedAt);
  if (filter.tagsAny) conditions.push(`c.tags && ${parameters.bind(filter.tagsAny, 'text[]')}`);
  if (filter.tagsAll) conditions.push(`c.tags @> ${parameters.bind(filter.tagsAll, 'text[]')}`);
  if (filter.namePattern != null)
    conditions.push(`c.title ILIKE ${parameters.bind(likePattern(filter.namePattern), 'text')}`);
  if (filter.participantAgentId != null) {
    conditions.push(
      `c.id IN (SELECT p.context_id FROM context.participant p WHERE p.tenant_id = ${parameters.bind(principal.tenantId, 'text')} AND p.agent_id = ${parameters.bind(filter.participantAgentId, 'text')} AND ${participates('p.status')})`,
    );
  }
  for (const { key, value } of filter.metadata ?? []) {
    const matches = value == null ? '' : ` AND e.value @> ${parameters.bind(JSON.stringify(value), 'jsonb')}`;
    const readable = subject === null ? '' : ` AND (${administered} OR ${readableEntry('e', 'c', subject)})`;
    conditions.push(
      `EXISTS (SELECT 1 FROM context.metadata e WHERE e.tenant_id = c.tenant_id AND e.context_id = c.id AND e.key = ${parameters.bind(key, 'text')}${matches}${readable})`,
    );
  }
  if (query !== null) conditions.push(`c.search @@ ${searchExpression(parameters, query)}`);
  return conditions.join(' AND ');
}

/** Condition: the subject may read the metadata entry. */
export function readableEntry(entry: string, context: string, subject: string): string {
  return `(${entry}.access_level = 'PUBLIC' OR ${context}.owner_id = ${subject} OR (${entry}.access_level = 'PARTICIPANTS' AND ${takesPart(context, subject)}))`;
}

/** In a subquery of its own it is read once; bare, a generic plan reads it anew for every row it ranks. */
export function searchExpression(parameters: Parameters, query: string): string {
  return `(SELECT websearch_to_tsquery('simple', ${parameters.bind(query, 'text')}))`;
}

/** `*` stands for any text; what LIKE takes for a wildcard stands for itself. */
export function likePattern(pattern: string): string {
  return pattern.replace(/[\\%_]/g, '\\$&').replaceAll('*', '%');
}
