import type { Principal } from '../principal.ts';

/** Makes a literal of what a condition compares with: COPY takes no parameters. */
export interface Literals {
  text(value: string): string;
  uuid(value: string): string;
  uuids(values: readonly string[]): string;
  texts(values: readonly string[]): string;
}

export type ExportKeyType = 'uuid' | 'text' | 'bigint' | 'timestamptz';

/** Rows of a module that may be read as a whole, in the order of a key that begins behind the tenant. */
export interface ExportEntity {
  /** Last part of its path: `messages`. */
  readonly name: string;
  readonly requires: string;
  /** The authentication has to be a strong and fresh one. */
  readonly needsStepUp?: true;
  /** Table, its alias and what it is joined with: `dialog.message m JOIN ...`. */
  readonly from: string;
  /** Alias of the table whose rows they are; its `tenant_id` is compared with the caller's. */
  readonly alias: string;
  /** Columns of the alias that stand first and order the rows; together they name one row of a tenant. */
  readonly keys: readonly (readonly [column: string, type: ExportKeyType])[];
  /** Columns of the alias, behind the keys. */
  readonly columns: readonly string[];
  /** The time that `from` and `to` are about. */
  readonly time: string;
  /** The context a row lies in, as an expression; null where rows are the tenant's. */
  readonly context: string | null;
  /** Condition that a row is about a context, where no expression says so alone. */
  readonly about?: (contextId: string) => string;
  /** Columns that do not show everybody all that stands in them, as expressions: what the principal sees of them. */
  readonly columnText?: (principal: Principal, literals: Literals) => Readonly<Record<string, string>>;
  /** Further conditions: what the principal sees of what its rights show. */
  readonly visible?: (principal: Principal, literals: Literals) => readonly string[];
}
