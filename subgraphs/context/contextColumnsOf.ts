import type { GraphQLResolveInfo } from 'graphql';
import { selectedFields } from '#shared/selectedFields.ts';
import type { ContextRow } from './rows.ts';

type Column = keyof ContextRow & string;

/** Fields of Context that are a column of the same name. */
const plain: readonly Column[] = [
  'title',
  'summary',
  'status',
  'type',
  'lifecycleStage',
  'domain',
  'environment',
  'root',
  'tags',
  'language',
  'constraints',
  'governance',
  'ownerId',
  'ownerType',
  'configuration',
  'accessControl',
  'priority',
  'category',
  'customData',
  'version',
  'participantCount',
  'sessionCount',
  'lastActivityAt',
  'expiresAt',
  'closeReason',
  'createdAt',
  'createdBy',
  'updatedAt',
  'updatedBy',
];

/** What a field is answered from; one that is not listed needs the whole row. */
const columnsOf: ReadonlyMap<string, readonly Column[]> = new Map<string, readonly Column[]>([
  ...plain.map((name): [string, readonly Column[]] => [name, [name]]),
  ['__typename', []],
  ['id', []],
  ['contextId', []],
  ['entryPoint', ['root']],
  ['ownerRoleId', ['ownerRole']],
  ['participants', []],
  ['sessions', []],
  ['history', []],
]);

/** Identity, and what says whether a row is still the one that was ranked. */
const always: readonly Column[] = ['tenantId', 'id', 'version'];

const sets = new Map<string, ReadonlySet<string>>();
/** Each set is a statement of its own, kept by the server on every connection: clients must not make any number of them. */
const maxSets = 200;

/** Columns of the contexts selected at any of the paths below a resolver's field; undefined for whole rows. */
export function contextColumnsOf(
  info: Pick<GraphQLResolveInfo, 'fieldNodes' | 'fragments'>,
  ...paths: readonly string[]
): ReadonlySet<string> | undefined {
  const columns = new Set<string>(always);
  for (const name of selectedFields(info, ...paths)) {
    const needed = columnsOf.get(name);
    if (!needed) return undefined;
    for (const column of needed) columns.add(column);
  }
  const key = [...columns].sort().join();
  const known = sets.get(key);
  if (known) return known;
  if (sets.size >= maxSets) return undefined;
  sets.set(key, columns);
  return columns;
}
