import type { SubgraphName } from '../names.ts';
import { plainArray, textArray } from './arrayLiteral.ts';
import { type RequestScope, subjectBoundTag } from './context.ts';
import { participates } from './contextAudience.ts';
import { conditionallyListed, readerFacts, readerKeys } from './contextReaders.ts';
import { isId } from './ids.ts';
import { createKeyedReader, type KeyedReader } from './keyedReader.ts';
import type { Principal } from './principal.ts';
import { placesOf } from './rights.ts';
import type { Sql, SqlTransaction } from './sql.ts';

type Db = Pick<Sql | SqlTransaction, 'unsafe'>;

/**
 * The subject; whether it sees contexts whoever takes part in them; what conditions may ask of it, as JSON; then the contexts
 * of which the other is true, and the keys by which access lists name it. An id is never such a key, nor is JSON.
 */
export type Viewer = readonly [
  subject: string,
  admin: 'everywhere' | 'nowhere',
  facts: string,
  ...exceptAndKeys: string[],
];

/** A parameter of conditions, as a text[]; null for who sees all contexts whoever takes part in them. */
export function viewerOf(principal: Principal): Viewer | null {
  const { everywhere, except } = placesOf(principal, ['context:admin']);
  if (everywhere && except.length === 0) return null;
  const admin = everywhere ? 'everywhere' : 'nowhere';
  return [principal.subject, admin, readerFacts(principal), ...except, ...readerKeys(principal)];
}

/** Asks what is not known yet of contexts, as the principal sees them. */
export type Learn = (principal: Principal, contextIds: readonly string[]) => Promise<void>;

/** A row by its id, and who asks about it. */
export interface Asked {
  readonly principal: Principal;
  readonly id: string;
}

export interface Verdict {
  /** Null where its context is open to all. */
  readonly hidden: boolean | null;
  /** Its context, where that was not heard of. */
  readonly unheard: string | null;
}

const isPool = (db: Db): db is Sql => 'begin' in db;

const parametersOf = (asked: readonly Asked[]): string[] => [
  textArray(asked.map(({ principal }) => principal.tenantId)),
  plainArray(asked.map(({ id }) => id)),
  textArray(
    asked.map(({ principal }) => {
      const viewer = viewerOf(principal);
      return viewer === null ? null : textArray(viewer);
    }),
  ),
];

/** Condition on a context of a replica: it is private. */
export const privateContext = (context: string) =>
  `${context}.type = 'Context' AND ${context}.detail->>'visibility' = 'PRIVATE'`;

export interface ContextPrivacyOptions {
  /**
   * Condition on a row, never null: the viewer has a part in it, and so sees it wherever it lies.
   * @default nobody has
   */
  readonly hasPart?: (row: string, viewer: string) => string;
}

/**
 * Who sees what lies in private contexts, by the replica of contexts and participants that a module keeps in its schema:
 * the same rule as the context module's, written once. Conditions are SQL; `viewer` in them is a parameter like `$3`.
 */
export function createContextPrivacy(schema: SubgraphName, { hasPart }: ContextPrivacyOptions = {}) {
  /** Condition on a private context of the replica: neither the viewer's own nor one that it administers, takes part in or is listed in. */
  const foreign = (context: string, viewer: string) =>
    `(${viewer}::text[] IS NOT NULL AND ((${viewer}::text[])[2] = 'everywhere') = (${context}.id::text = ANY ((${viewer}::text[])[4:]))
     AND ${context}.detail->>'ownerId' IS DISTINCT FROM (${viewer}::text[])[1]
     AND (${context}.detail->'readers' ?| (${viewer}::text[])[4:]) IS NOT TRUE
     AND (${context}.detail ? 'conditional' AND ${conditionallyListed(`${context}.detail->'conditional'`, `(${viewer}::text[])[4:]`, `(${viewer}::text[])[3]`)}) IS NOT TRUE AND NOT EXISTS (
     SELECT 1 FROM ${schema}.replica m WHERE m.tenant_id = ${context}.tenant_id AND m.type = 'ContextParticipant' AND m.detail->>'agentId' = (${viewer}::text[])[1]
       AND m.detail->>'contextId' = ${context}.id::text AND ${participates('m.status')}))`;

  const without = (row: string, viewer: string) => (hasPart === undefined ? '' : ` AND NOT ${hasPart(row, viewer)}`);
  const verdictsText = (table: string) =>
    `SELECT a.ord::int AS ord, CASE WHEN c.id IS NULL THEN t.context_id END AS unheard,
       CASE WHEN c.id IS NULL THEN v.viewer IS NOT NULL${without('t', 'v.viewer')}
         WHEN ${privateContext('c')} THEN ${foreign('c', 'v.viewer')}${without('t', 'v.viewer')} END AS hidden
     FROM unnest($1::text::text[], $2::text::uuid[], $3::text::text[]) WITH ORDINALITY AS a(tenant_id, id, viewer, ord)
     CROSS JOIN LATERAL (SELECT a.viewer::text[] AS viewer) AS v
     JOIN ${schema}.${table} t ON t.tenant_id = a.tenant_id AND t.id = a.id AND t.context_id IS NOT NULL
     LEFT JOIN ${schema}.replica c ON c.tenant_id = t.tenant_id AND c.type = 'Context' AND c.id = t.context_id`;

  const readers = new WeakMap<Db, Map<string, KeyedReader<Asked, Verdict>>>();

  /** By pool: what concurrent requests ask about a table shares a statement. */
  function readerOf(sql: Sql, table: string): KeyedReader<Asked, Verdict> {
    const byTable = readers.get(sql) ?? new Map<string, KeyedReader<Asked, Verdict>>();
    readers.set(sql, byTable);
    const reader = byTable.get(table) ?? createKeyedReader(sql, { text: verdictsText(table), parametersOf });
    byTable.set(table, reader);
    return reader;
  }

  /**
   * `findVerdicts` for several principals, in the order asked; null for what is not answered there. Who knows whether a
   * context that was not heard of is open is left to the caller. In a transaction it is one statement of it.
   */
  async function findVerdictsOfMany(
    db: Db,
    table: string,
    asked: readonly Asked[],
  ): Promise<readonly (Verdict | null)[]> {
    if (asked.length === 0) return [];
    if (isPool(db)) {
      const reader = readerOf(db, table);
      return Promise.all(asked.map((one) => reader.add(one)));
    }
    const rows = (await db.unsafe(verdictsText(table), parametersOf(asked), {
      prepare: true,
    })) as unknown as (Verdict & { readonly ord: number })[];
    const verdicts = new Array<Verdict | null>(asked.length).fill(null);
    for (const { ord, ...verdict } of rows) verdicts[ord - 1] = verdict;
    return verdicts;
  }

  return {
    foreign,

    /**
     * Condition on a row with a context: the viewer may see it. What lies in a context that was not heard of yet is
     * seen by nobody without a part in it: it may be private.
     */
    visibleCondition: (row: string, viewer: string) =>
      `(EXISTS (SELECT 1 FROM ${schema}.replica heard WHERE heard.tenant_id = ${row}.tenant_id AND heard.type = 'Context' AND heard.id = ${row}.context_id
     AND (heard.detail->>'visibility' IS DISTINCT FROM 'PRIVATE' OR NOT ${foreign('heard', viewer)}))${hasPart === undefined ? '' : ` OR ${hasPart(row, viewer)}`})`,

    /**
     * Whether rows of a table are hidden from the principal; null where their context is open to all. A context that was
     * not heard of counts as private, unless `learn` finds out more. What is not answered is not there, or in no context.
     */
    async findVerdicts(
      db: Db,
      principal: Principal,
      { table, ids }: { readonly table: string; readonly ids: readonly string[] },
      learn?: Learn,
    ): Promise<ReadonlyMap<string, boolean | null>> {
      if (ids.length === 0) return new Map();
      // One that is no id would fail those that share the statement.
      const asked = [...new Set(ids)].filter(isId).map((id) => ({ principal, id }));
      let rows = await findVerdictsOfMany(db, table, asked);
      const unheard = [...new Set(rows.flatMap((row) => (row === null || row.unheard === null ? [] : [row.unheard])))];
      if (unheard.length > 0 && learn !== undefined) {
        await learn(principal, unheard);
        rows = await findVerdictsOfMany(db, table, asked);
      }
      return new Map(rows.flatMap((row, at) => (row === null ? [] : [[asked[at]!.id, row.hidden] as const])));
    },

    findVerdictsOfMany,

    /** Whether a private context is hidden from the principal, as far as this module has heard. */
    async isContextHidden(db: Db, principal: Principal, contextId: string): Promise<boolean> {
      const [row] = (await db.unsafe(
        `SELECT ${foreign('c', '$3')} AS hidden FROM ${schema}.replica c WHERE c.tenant_id = $1 AND c.id = $2 AND ${privateContext('c')}`,
        [principal.tenantId, contextId, viewerOf(principal) as string[] | null],
        { prepare: true },
      )) as unknown as { hidden: boolean }[];
      return row?.hidden ?? false;
    },

    /** Private contexts of the tenant that the viewer does not see. */
    async findClosedContexts(db: Db, tenantId: string, viewer: Viewer): Promise<readonly string[]> {
      const rows = (await db.unsafe(
        `SELECT c.id FROM ${schema}.replica c WHERE c.tenant_id = $1 AND ${privateContext('c')} AND ${foreign('c', '$2')}`,
        [tenantId, viewer as readonly string[] as string[]],
        { prepare: true },
      )) as unknown as { id: string }[];
      return rows.map(({ id }) => id);
    },

    /** Marks a list as its reader's own where the tenant has private contexts. */
    async noteListAccess(db: Db, scope: Pick<RequestScope, 'principal' | 'readTags'>): Promise<void> {
      const [found] = await db.unsafe(
        `SELECT 1 FROM ${schema}.replica c WHERE c.tenant_id = $1 AND ${privateContext('c')} LIMIT 1`,
        [scope.principal.tenantId],
        { prepare: true },
      );
      if (found) scope.readTags.add(subjectBoundTag);
    },
  };
}
