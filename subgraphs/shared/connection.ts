import { PlatformError } from './errors.ts';

export interface PageInput {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: string | null | undefined;
}

export interface Page {
  readonly limit: number;
  readonly direction: 'forward' | 'backward';
  /** Sort key values of the row to start behind, in the order of the list's sort key. */
  readonly from: readonly CursorValue[] | null;
}

export type CursorValue = string | number | null;

export interface Edge<Node> {
  readonly cursor: string;
  readonly node: Node;
}

export interface PageInfoShape {
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  readonly startCursor: string | null;
  readonly endCursor: string | null;
}

export interface Connection<Node> {
  readonly edges: readonly Edge<Node>[];
  readonly nodes: readonly Node[];
  readonly pageInfo: PageInfoShape;
}

export const defaultPageSize = 20;
export const maxPageSize = 100;

/** Opaque keyset cursor. `list` names the list and its sort, so that a cursor of another list is refused. */
export function encodePageCursor(list: string, values: readonly CursorValue[]): string {
  return Buffer.from(JSON.stringify([list, ...values])).toString('base64url');
}

/** @throws {CURSOR_INVALID} when the cursor is malformed or belongs to another list or sort. */
export function decodePageCursor(list: string, cursor: string, width: number): readonly CursorValue[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    parsed = undefined;
  }
  const usable =
    cursor.length <= 2_048 &&
    Array.isArray(parsed) &&
    parsed.length === width + 1 &&
    parsed[0] === list &&
    parsed
      .slice(1)
      .every(
        (value) =>
          value === null ||
          (typeof value === 'string' && !value.includes('\0')) ||
          (typeof value === 'number' && Number.isFinite(value)),
      );
  if (!usable) throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
  return (parsed as CursorValue[]).slice(1);
}

/** Name of the list a cursor was given out by; null when it is none of ours. */
export function listOfCursor(cursor: string): string | null {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    return Array.isArray(parsed) && typeof parsed[0] === 'string' ? parsed[0] : null;
  } catch {
    return null;
  }
}

/**
 * Reads Relay page arguments; `width` is the number of values in the list's sort key.
 * @throws {VALIDATION_FAILED} when first or last is out of 1..max, or both directions are given.
 * @throws {CURSOR_INVALID} when a cursor belongs to another list.
 */
export function readPage(list: string, width: number, input: PageInput, max = maxPageSize): Page {
  const backward = input.last != null || input.before != null;
  if (backward && (input.first != null || input.after != null)) {
    throw new PlatformError('VALIDATION_FAILED', 'expected first/after or last/before, got both', { path: ['first'] });
  }
  const name = backward ? 'last' : 'first';
  const limit = (backward ? input.last : input.first) ?? Math.min(defaultPageSize, max);
  if (!Number.isInteger(limit) || limit < 1 || limit > max) {
    throw new PlatformError('VALIDATION_FAILED', `${name}: expected 1 to ${max}, got ${limit}`, { path: [name] });
  }
  const cursor = backward ? input.before : input.after;
  return {
    limit,
    direction: backward ? 'backward' : 'forward',
    from: cursor == null ? null : decodePageCursor(list, cursor, width),
  };
}

/**
 * Makes a connection of up to `limit + 1` rows, read in the page's direction: the row too many tells whether there
 * are more. Rows of a backward page are turned round.
 */
export function createConnection<Node>(
  list: string,
  page: Page,
  rows: readonly Node[],
  keyOf: (node: Node) => readonly CursorValue[],
): Connection<Node> {
  const more = rows.length > page.limit;
  const kept = rows.slice(0, page.limit);
  const nodes = page.direction === 'forward' ? kept : kept.reverse();
  const edges = nodes.map((node) => ({ node, cursor: encodePageCursor(list, keyOf(node)) }));
  const forward = page.direction === 'forward';
  return {
    edges,
    nodes,
    pageInfo: {
      hasNextPage: forward ? more : page.from !== null,
      hasPreviousPage: forward ? page.from !== null : more,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}
