import type { CursorValue } from '#shared/connection.ts';
import { PlatformError } from '#shared/errors.ts';
import type { ContextSelection } from './filter.ts';
import type { ContextRow } from './rows.ts';

export interface ContextSortInput {
  readonly field: 'CREATED_AT' | 'UPDATED_AT' | 'TITLE' | 'LAST_ACTIVITY_AT' | 'RELEVANCE';
  readonly direction: 'ASC' | 'DESC';
}

/** A sort as it comes with a query: newest or best first unless it says so. */
export type GivenSort =
  | { readonly field: ContextSortInput['field']; readonly direction?: ContextSortInput['direction'] | undefined }
  | null
  | undefined;

export interface SortKey {
  readonly column: string;
  readonly type: string;
  readonly valueOf: (row: ListedRow) => CursorValue;
  readonly fits: (value: CursorValue) => boolean;
}

export interface ListedRow {
  readonly row: ContextRow;
  readonly score: number | null;
}

/** A time that exists, as the list's own cursors write it; there is no year 0 in PostgreSQL. */
const instant = (value: CursorValue) =>
  typeof value === 'string' &&
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value) &&
  !value.startsWith('0000') &&
  !Number.isNaN(Date.parse(value)) &&
  new Date(value).toISOString() === value;

export const sortKeys: Readonly<Record<ContextSortInput['field'], SortKey>> = {
  CREATED_AT: { column: 'created_at', type: 'timestamptz', valueOf: ({ row }) => row.createdAt, fits: instant },
  UPDATED_AT: { column: 'updated_at', type: 'timestamptz', valueOf: ({ row }) => row.updatedAt, fits: instant },
  LAST_ACTIVITY_AT: {
    column: 'last_activity_at',
    type: 'timestamptz',
    valueOf: ({ row }) => row.lastActivityAt,
    fits: instant,
  },
  TITLE: { column: 'title', type: 'text', valueOf: ({ row }) => row.title, fits: (value) => typeof value === 'string' },
  RELEVANCE: {
    column: 'score',
    type: 'float4',
    valueOf: ({ score }) => score,
    fits: (value) => typeof value === 'number',
  },
};

export const newestFirst: ContextSortInput = { field: 'CREATED_AT', direction: 'DESC' };

export function listName(sort: ContextSortInput): string {
  return `contexts:${sort.field}:${sort.direction}`;
}

export function requireSort(sort: NonNullable<GivenSort>, selection: ContextSelection): ContextSortInput {
  if (sort.field === 'RELEVANCE' && selection.query === null)
    throw new PlatformError('VALIDATION_FAILED', 'sort.field: RELEVANCE needs a query', { path: ['sort', 'field'] });
  return { field: sort.field, direction: sort.direction ?? 'DESC' };
}
