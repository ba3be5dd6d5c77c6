import DataLoader from 'dataloader';
import {
  type Authorizer,
  type AuthRule,
  type AuthSource,
  type AuthTarget,
  permissionDenied,
  type Reach,
  reachOf,
} from './auth.ts';
import { isId } from './ids.ts';
import type { Principal } from './principal.ts';
import type { Sql } from './sql.ts';

/**
 * Finds which context objects of a kind lie in: one statement for all ids, in the tenant alone. Ids that are unknown
 * there are left out of the answer. The target may be another object than the one asked for: of a run, its plan.
 */
export type Locator = (sql: Sql, tenantId: string, ids: readonly string[]) => Promise<ReadonlyMap<string, AuthTarget>>;
export type Locators = Readonly<Record<string, Locator>>;

/** One request, as an object of its own: what is located in it is located once. */
export interface DoorRequest {
  readonly principal: Principal;
}

/** Objects that a type's own rule guards, wherever a field leads to them. */
export interface Guarded {
  readonly typeName: string;
  readonly rule: AuthRule & { readonly context: AuthSource };
}

export interface DoorDeps {
  readonly authorizer: Authorizer;
  readonly sql: Sql;
  readonly locators: Locators;
}

/** Asks the authorizer what `@auth` rules say, where it must about the object and its context. */
export interface Door {
  /** The most that holds for all permissions: `true` lets in with nothing to look up. */
  reach(principal: Principal, permissions: readonly string[]): Reach | Promise<Reach>;
  /**
   * @param from what the rule's path begins at: the arguments, or the object
   * @throws {PERMISSION_DENIED} the same for an object that is unknown as for one that is forbidden
   */
  check(rule: AuthRule, from: unknown, request: DoorRequest): void | Promise<void>;
  /** Leaves out of a list the objects, or the edges of objects, that are denied. @throws {PERMISSION_DENIED} for one alone. */
  screen(value: unknown, guarded: Guarded, request: DoorRequest): Promise<unknown>;
}

export function createDoor({ authorizer, sql, locators }: DoorDeps): Door {
  // On the request itself: a weak map of requests makes each collection longer.
  const loaders = Symbol('loaders');
  type Loaders = Map<string, DataLoader<string, AuthTarget | null>>;

  function locate(
    kind: string,
    id: string,
    request: DoorRequest & { [loaders]?: Loaders },
  ): Promise<AuthTarget | null> {
    const locator = locators[kind];
    if (!locator || !isId(id)) return Promise.resolve(null);
    request[loaders] ??= new Map();
    const ofRequest = request[loaders];
    let loader = ofRequest.get(kind);
    if (!loader) {
      loader = new DataLoader<string, AuthTarget | null>(
        async (ids) => {
          const found = await locator(sql, request.principal.tenantId, ids);
          return ids.map((each) => found.get(each) ?? null);
        },
        { maxBatchSize: 1_000 },
      );
      ofRequest.set(kind, loader);
    }
    return loader.load(id.toLowerCase());
  }

  /** What an id leads to; a context needs no look. */
  function targetOf({ kind }: AuthSource, id: string, request: DoorRequest): AuthTarget | Promise<AuthTarget | null> {
    if (kind !== 'Context') return locate(kind, id, request);
    const contextId = id.toLowerCase();
    return { type: 'Context', id: contextId, contextId };
  }

  function allowsAt(principal: Principal, permission: string, target: AuthTarget | null): boolean | Promise<boolean> {
    return target === null
      ? authorizer.allows(principal, permission)
      : authorizer.allows(principal, permission, target);
  }

  function reach(principal: Principal, permissions: readonly string[]): Reach | Promise<Reach> {
    let joined: Reach = true;
    for (const [at, permission] of permissions.entries()) {
      const one = reachOf(authorizer, principal, permission);
      if (one === true) continue;
      if (one === false) return false;
      if (one !== 'depends') {
        return one.then(async (settled) =>
          joinReach(joinReach(joined, settled), await reach(principal, permissions.slice(at + 1))),
        );
      }
      joined = 'depends';
    }
    return joined;
  }

  async function checkTargets(rule: AuthRule, from: unknown, request: DoorRequest): Promise<void> {
    const { context: source, requires } = rule;
    const ids = source === undefined ? [] : idsAt(from, source.path);
    if (rule.isDeferred === true && ids.every((id) => id === null)) return;
    const found = await Promise.all(ids.map((id) => (id === null ? null : targetOf(source!, id, request))));
    // What names no object is about none in particular: what holds everywhere decides.
    const targets = found.length === 0 ? [null] : found;
    for (const permission of requires) {
      for (const target of targets)
        if (!(await allowsAt(request.principal, permission, target))) throw permissionDenied(permission);
    }
  }

  /** Of an object by its row: the context that stands in it, else where it lies. */
  function targetOfRow(row: unknown, { typeName, rule }: Guarded, request: DoorRequest) {
    const [key] = idsAt(row, rule.context.path);
    const [id] = idsAt(row, ['id']);
    if (key == null) return id == null ? null : locate(typeName, id, request);
    if (rule.context.kind !== 'Context') return locate(rule.context.kind, key, request);
    return { type: typeName, id: id ?? key, contextId: key.toLowerCase() };
  }

  async function isLetThrough(row: unknown, guarded: Guarded, request: DoorRequest): Promise<boolean> {
    if (row === null || row === undefined) return true;
    const target = await targetOfRow(await row, guarded, request);
    for (const permission of guarded.rule.requires)
      if (!(await allowsAt(request.principal, permission, target))) return false;
    return true;
  }

  return {
    reach,
    check(rule, from, request) {
      const { principal } = request;
      if (rule.context === undefined) return checkEverywhere(authorizer, rule.requires, principal);
      const verdict = reach(principal, rule.requires);
      if (verdict === true) return;
      if (verdict === false) return checkEverywhere(authorizer, rule.requires, principal);
      return checkTargets(rule, from, request);
    },
    async screen(value, guarded, request) {
      const { requires } = guarded.rule;
      if ((await reach(request.principal, requires)) !== 'depends') return value;
      if (!Array.isArray(value)) {
        if (await isLetThrough(value, guarded, request)) return value;
        throw permissionDenied(requires[0] ?? '');
      }
      const rows: readonly unknown[] = value;
      const kept = await Promise.all(rows.map((row) => isLetThrough(nodeOf(row), guarded, request)));
      return rows.filter((_row, at) => kept[at]);
    },
  };
}

/** A rule without a source: what holds everywhere decides. @throws {PERMISSION_DENIED} */
function checkEverywhere(
  authorizer: Authorizer,
  permissions: readonly string[],
  principal: Principal,
): void | Promise<void> {
  for (const [at, permission] of permissions.entries()) {
    const allowed = authorizer.allows(principal, permission);
    if (allowed === true) continue;
    if (allowed === false) throw permissionDenied(permission);
    return allowed.then((answer) => {
      if (!answer) throw permissionDenied(permission);
      return checkEverywhere(authorizer, permissions.slice(at + 1), principal);
    });
  }
}

function joinReach(one: Reach, other: Reach): Reach {
  if (one === false || other === false) return false;
  return one === true ? other : one;
}

/** The object that an edge of a connection leads to, else the object itself. */
function nodeOf(row: unknown): unknown {
  const isEdge = typeof row === 'object' && row !== null && 'node' in row && 'cursor' in row;
  return isEdge ? row.node : row;
}

/** The texts at a path; lists on the way are walked, and an entry in which the path leads nowhere counts as null. */
export function idsAt(from: unknown, path: readonly string[]): (string | null)[] {
  if (Array.isArray(from)) return from.flatMap((entry: unknown) => idsAt(entry, path));
  const [name, ...rest] = path;
  if (name === undefined) return [typeof from === 'string' ? from : null];
  if (typeof from !== 'object' || from === null) return [null];
  return idsAt((from as Readonly<Record<string, unknown>>)[name], rest);
}

/** A locator over one table with `id` and `context_id`. */
export function locateRows(type: string, table: string): Locator {
  return createLocator({
    text: `SELECT id AS key, id, context_id AS "contextId" FROM ${table} WHERE tenant_id = $1 AND id = ANY($2::uuid[])`,
    type,
  });
}

interface LocatedRow {
  readonly key: string;
  readonly id: string;
  readonly contextId: string | null;
  readonly planId?: string | null;
}

/** A locator by a statement over tenant ($1) and ids ($2) that answers `key`, `id`, `contextId` and, where it is known, `planId`. */
export function createLocator({ text, type }: { readonly text: string; readonly type: string }): Locator {
  return async (sql, tenantId, ids) => {
    const rows = (await sql.unsafe(text, [tenantId, ids as string[]], { prepare: true })) as unknown as LocatedRow[];
    return new Map(
      rows.map(({ key, id, contextId, planId }) => [
        key,
        {
          type,
          id,
          ...(contextId === null ? {} : { contextId }),
          ...(planId === undefined || planId === null ? {} : { planId }),
        },
      ]),
    );
  };
}
