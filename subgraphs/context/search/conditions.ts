import type { Condition } from '#shared/searchIndex/index.ts';
import type { ContextFilter } from '../filter.ts';

/** What the index can filter by; null where only PostgreSQL knows: names by pattern, members, metadata. */
export function toConditions(filter: ContextFilter): readonly Condition[] | null {
  if (filter.namePattern != null || filter.participantAgentId != null || (filter.metadata?.length ?? 0) > 0)
    return null;
  const conditions: Condition[] = [];
  const oneOf = (column: string, values: readonly string[] | null | undefined) => {
    if (values) conditions.push({ kind: 'oneOf', column, values });
  };
  const equal = (column: string, value: string | null | undefined) => oneOf(column, value == null ? null : [value]);
  const within = (column: string, bounds: ContextFilter['createdAt']) => {
    if (bounds?.from || bounds?.to)
      conditions.push({ kind: 'between', column, from: bounds.from?.getTime(), to: bounds.to?.getTime() });
  };
  oneOf('type', filter.type);
  oneOf(
    'status',
    filter.status?.map((status) => status.toLowerCase()),
  );
  oneOf('lifecycleStage', filter.lifecycleStage);
  equal('ownerId', filter.ownerId);
  equal('domain', filter.domain);
  equal('environment', filter.environment);
  equal('language', filter.language);
  within('createdAt', filter.createdAt);
  within('updatedAt', filter.updatedAt);
  if (filter.tagsAny) conditions.push({ kind: 'anyOf', column: 'tags', values: filter.tagsAny });
  if (filter.tagsAll) conditions.push({ kind: 'allOf', column: 'tags', values: filter.tagsAll });
  return conditions;
}
