import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { keepVisible } from './access.ts';
import type { ContextRow } from './rows.ts';
import { contextColumns } from './store.ts';

/**
 * Names are titles. Where CONTEXT_UNIQUE_NAMES says so, an owner has each of them once among its contexts that are not
 * deleted: the title stands in `unique_name` too, and a unique constraint over (tenant, owner, name) is what holds.
 * Looking before writing, under the lock of the owner's counter, tells the one that comes second.
 */
const nameConstraint = 'context_tenant_id_owner_id_unique_name_key';

/** What a context holds as its name after a change; null where names may repeat. One that had none keeps its title without. */
export function claimedName(before: ContextRow | null, after: ContextRow, unique: boolean): string | null {
  if (!unique || after.deletedAt !== null) return null;
  const kept = before !== null && before.deletedAt === null && before.title === after.title;
  return kept ? before.uniqueName : after.title;
}

export function duplicateName(title: string, path: readonly (string | number)[] | undefined): PlatformError {
  return new PlatformError(
    'DUPLICATE_NAME',
    `the owner has another context named ${JSON.stringify(title.slice(0, 60))}`,
    {
      ...(path === undefined ? {} : { path }),
    },
  );
}

/** True when somebody who does not take the owner's lock, an import, took the name first. */
export function isNameRace(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'constraint_name' in error &&
    error.constraint_name === nameConstraint
  );
}

export interface OwnedName {
  readonly tenantId: string;
  readonly ownerId: string;
  readonly name: string;
}

export interface NameHolder extends OwnedName {
  readonly id: string;
}

/** Which contexts hold these names. */
export async function findNameHolders(tx: SqlTransaction, names: readonly OwnedName[]): Promise<readonly NameHolder[]> {
  if (names.length === 0) return [];
  return (await tx.unsafe(
    `SELECT c.tenant_id AS "tenantId", c.owner_id AS "ownerId", c.unique_name AS name, c.id
     FROM unnest($1::text[], $2::text[], $3::text[]) AS k(tenant_id, owner_id, unique_name) JOIN context.context c USING (tenant_id, owner_id, unique_name)`,
    [names.map(({ tenantId }) => tenantId), names.map(({ ownerId }) => ownerId), names.map(({ name }) => name)],
    { prepare: true },
  )) as unknown as NameHolder[];
}

/** The names as they stand within a transaction, changes of its own included. */
export function createNames(holders: readonly NameHolder[]) {
  const key = (tenantId: string, ownerId: string, name: string) => JSON.stringify([tenantId, ownerId, name]);
  const held = new Map(holders.map(({ tenantId, ownerId, name, id }) => [key(tenantId, ownerId, name), id]));
  const keyOf = (row: ContextRow | null) =>
    row === null || row.uniqueName === null ? null : key(row.tenantId, row.ownerId, row.uniqueName);
  return {
    isTaken(row: ContextRow): boolean {
      const wanted = keyOf(row);
      return wanted !== null && (held.get(wanted) ?? row.id) !== row.id;
    },
    change(before: ContextRow | null, after: ContextRow): void {
      const [old, wanted] = [keyOf(before), keyOf(after)];
      if (old !== null && old !== wanted) held.delete(old);
      if (wanted !== null) held.set(wanted, after.id);
    },
  };
}

export function createNameLookup({ sql, config, logger }: Pick<ModuleRuntime, 'sql' | 'config' | 'logger'>) {
  return {
    unique: config.CONTEXT_UNIQUE_NAMES,

    /** The owner's context of this name; where names may repeat, the oldest of them. */
    async find(scope: RequestScope, ownerId: string, name: string): Promise<ContextRow | null> {
      const column = config.CONTEXT_UNIQUE_NAMES ? 'unique_name' : 'title';
      const rows = (await sql.unsafe(
        `SELECT ${contextColumns('c')} FROM context.context c WHERE c.tenant_id = $1 AND c.owner_id = $2 AND c.${column} = $3 AND c.deleted_at IS NULL ORDER BY c.created_at, c.id LIMIT 1`,
        [scope.principal.tenantId, ownerId, name],
        { prepare: true },
      )) as unknown as ContextRow[];
      scope.readTags.add('contexts').add(subjectBoundTag);
      return (await keepVisible(sql, scope, rows))[0] ?? null;
    },

    /** Gives contexts from before names were unique theirs, the oldest first; answers how many go without. */
    async adopt(): Promise<number> {
      if (!config.CONTEXT_UNIQUE_NAMES) return 0;
      const without = await adoptNames(sql);
      if (without > 0) logger.warn({ without }, 'contexts share a title with an older one of their owner: rename them');
      return without;
    },
  };
}

async function adoptNames(sql: Sql, triesLeft = 3): Promise<number> {
  try {
    return await sql.begin(async (tx) => {
      await tx`SET LOCAL statement_timeout = 0`;
      await tx.unsafe(
        `WITH first AS (
           SELECT DISTINCT ON (c.tenant_id, c.owner_id, c.title) c.tenant_id, c.id FROM context.context c
           WHERE c.unique_name IS NULL AND c.deleted_at IS NULL
             AND NOT EXISTS (SELECT 1 FROM context.context h WHERE h.tenant_id = c.tenant_id AND h.owner_id = c.owner_id AND h.unique_name = c.title)
           ORDER BY c.tenant_id, c.owner_id, c.title, c.created_at, c.id
         )
         UPDATE context.context c SET unique_name = c.title FROM first WHERE c.tenant_id = first.tenant_id AND c.id = first.id AND c.unique_name IS NULL AND c.deleted_at IS NULL`,
      );
      const [row] =
        await tx`SELECT count(*)::int AS n FROM context.context WHERE unique_name IS NULL AND deleted_at IS NULL`;
      return row!['n'] as number;
    });
  } catch (error) {
    if (isNameRace(error) && triesLeft > 0) return adoptNames(sql, triesLeft - 1);
    throw error;
  }
}
