import { ConcurrentInsert, type ProtocolDocument } from '#shared/codec.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import {
  checkInvariants,
  contextIdOf,
  idOf,
  type ProtocolModule,
  sameDocument,
  validateProtocolObject,
} from '../../../schema/protocol/index.ts';
import { isSubgraphName, type SubgraphName } from '../../names.ts';

export interface ProtocolObject {
  readonly module: ProtocolModule;
  readonly object: unknown;
}

export interface ImportErrorShape {
  readonly path: string;
  readonly keyword: string;
  readonly property: string | null;
  readonly message: string;
  readonly invariant: string | null;
}

export interface ImportResultShape {
  readonly ok: boolean;
  readonly id: string | null;
  readonly errors: ImportErrorShape[];
}

export interface BundleImportResultShape {
  readonly ok: boolean;
  readonly results: ImportResultShape[];
  readonly errors: ImportErrorShape[];
}

const maxObjects = 10_000;
const maxErrors = 100;
/** As many are looked up on the connections of short reads. */
const maxKeyedObjects = 100;

/** Takes frozen protocol objects in: validated against our own definitions, stored by the modules' codecs. */
export function createImporter(runtime: ModuleRuntime) {
  const { sql, keyedSql, codecs, config, publisher } = runtime;

  function codecOf(module: ProtocolModule) {
    return isSubgraphName(module) ? codecs.get(module) : undefined;
  }

  function validate({ module, object }: ProtocolObject): ImportErrorShape[] {
    return validateProtocolObject(module, object).slice(0, maxErrors).map(toError);
  }

  /** What stands under the ids of the objects, by module; all asked for before the first answer comes. */
  function readExisting(db: Sql | SqlTransaction, tenantId: string, objects: readonly ProtocolObject[]) {
    const places = objects.map((entry, index) => ({ ...entry, index }));
    return Promise.all(
      [...Map.groupBy(places, ({ module }) => module)].flatMap(([module, own]) => {
        const codec = codecOf(module);
        if (!codec) return [];
        const entries = own.map(({ index, object }) => ({
          index,
          id: idOf(module, object)!,
          document: object as ProtocolDocument,
        }));
        const ids = entries.map(({ id }) => id);
        return [codec.read(db, tenantId, ids).then((existing) => ({ module, codec, entries, existing }))];
      }),
    );
  }

  type Existing = Awaited<ReturnType<typeof readExisting>>[number];

  /** What is new of a module; an id that exists with other content is an error of its place. */
  function findFresh(
    { module, entries, existing }: Existing,
    errors: ImportErrorShape[][],
  ): ReadonlyMap<string, ProtocolDocument> {
    const fresh = new Map<string, ProtocolDocument>();
    for (const { index, id, document } of entries) {
      const known = existing.get(id) ?? fresh.get(id);
      if (known === undefined) fresh.set(id, document);
      else if (!sameDocument(known, document)) errors[index]!.push(conflict(module, id));
    }
    return fresh;
  }

  /** Looks without a transaction: nothing is written. */
  async function tryOut(
    { principal }: RequestScope,
    objects: readonly ProtocolObject[],
  ): Promise<ImportErrorShape[][]> {
    const errors = objects.map((): ImportErrorShape[] => []);
    const db = objects.length > maxKeyedObjects ? sql : (keyedSql ?? sql);
    for (const found of await readExisting(db, principal.tenantId, objects)) findFresh(found, errors);
    return errors;
  }

  /** Stores what is new; refuses an id that exists with other content. Locks nothing: a race ends at the primary key. */
  async function store(
    tx: SqlTransaction,
    scope: RequestScope,
    objects: readonly ProtocolObject[],
    errors: ImportErrorShape[][],
  ): Promise<readonly EventRow[]> {
    const { principal, traceparent } = scope;
    const events: EventRow[] = [];
    const bundleId = newId();
    const imported: Record<string, unknown>[] = [];
    for (const found of await readExisting(tx, principal.tenantId, objects)) {
      const { module, codec } = found;
      const fresh = findFresh(found, errors);
      if (fresh.size === 0 || errors.some((list) => list.length > 0)) continue;
      const changes = await codec.write(tx, principal, [...fresh.values()], config);
      events.push(
        ...(await appendChange(
          tx,
          module as SubgraphName,
          changes.map((change) => ({ ...change, traceparent })),
        )),
      );
      for (const [id, document] of fresh)
        imported.push({
          tenant_id: principal.tenantId,
          module,
          object_id: id,
          context_id: contextIdOf(module, document) ?? null,
          bundle_id: bundleId,
          imported_by: principal.subject,
        });
    }
    if (imported.length > 0) {
      await tx.unsafe(
        `INSERT INTO platform.import (tenant_id, module, object_id, context_id, bundle_id, imported_by)
         SELECT * FROM json_to_recordset($1::text::json) AS i(tenant_id text, module text, object_id uuid, context_id uuid, bundle_id uuid, imported_by text)
         ON CONFLICT DO NOTHING`,
        [JSON.stringify(imported)],
      );
    }
    return events;
  }

  class Refused extends Error {}

  /** Per object what is wrong with it; nothing is stored when anything is. */
  async function run(
    scope: RequestScope,
    objects: readonly ProtocolObject[],
    triesLeft = 3,
  ): Promise<ImportErrorShape[][]> {
    let errors: ImportErrorShape[][] = [];
    let events: readonly EventRow[] = [];
    try {
      await transactionRetry.execute(() =>
        sql.begin(async (tx) => {
          errors = objects.map(() => []);
          events = await store(tx, scope, objects, errors);
          if (errors.some((list) => list.length > 0)) throw new Refused();
        }),
      );
    } catch (error) {
      // Another import of the same id committed in between: with its content known, look again.
      if (isRace(error) && triesLeft > 0) return run(scope, objects, triesLeft - 1);
      if (!(error instanceof Refused)) throw error;
      events = [];
    }
    await publisher.published(events, scope);
    return errors;
  }

  return {
    async importObject(scope: RequestScope, entry: ProtocolObject, dryRun: boolean): Promise<ImportResultShape> {
      const errors = validate(entry);
      const id = errors.length === 0 ? (idOf(entry.module, entry.object) ?? null) : null;
      if (errors.length > 0) return { ok: false, id: null, errors };
      if (!codecOf(entry.module))
        return dryRun ? { ok: true, id, errors: [] } : { ok: false, id, errors: [notStored(entry.module)] };
      const [found] = await (dryRun ? tryOut(scope, [entry]) : run(scope, [entry]));
      return { ok: found!.length === 0, id, errors: found! };
    },

    /** @throws {VALIDATION_FAILED} when the bundle has no objects or too many. */
    async importBundle(
      scope: RequestScope,
      objects: readonly ProtocolObject[],
      dryRun: boolean,
    ): Promise<BundleImportResultShape> {
      if (objects.length === 0 || objects.length > maxObjects)
        throw new PlatformError('VALIDATION_FAILED', `objects: expected 1 to ${maxObjects}, got ${objects.length}`, {
          path: ['objects'],
        });
      const invalid = objects.map(validate);
      const answer = (
        perObject: readonly ImportErrorShape[][],
        errors: ImportErrorShape[],
      ): BundleImportResultShape => {
        const failed = errors.length > 0 || perObject.some((list) => list.length > 0);
        return {
          ok: !failed,
          results: objects.map(({ module, object }, index) => ({
            ok: perObject[index]!.length === 0,
            id: invalid[index]!.length === 0 ? (idOf(module, object) ?? null) : null,
            errors: perObject[index]!,
          })),
          errors,
        };
      };
      if (invalid.some((list) => list.length > 0)) return answer(invalid, []);
      const broken = checkInvariants(objects.map(({ module, object }) => ({ module, object })));
      if (broken.length > 0) {
        const perObject: ImportErrorShape[][] = objects.map(() => []);
        for (const violation of broken)
          if (violation.objectIndex !== null) perObject[violation.objectIndex]!.push(toError(violation));
        return answer(perObject, broken.map(toError));
      }
      if (!dryRun && objects.some(({ module }) => !codecOf(module))) {
        return answer(
          objects.map(({ module }) => (codecOf(module) ? [] : [notStored(module)])),
          [],
        );
      }
      return answer(await (dryRun ? tryOut(scope, objects) : run(scope, objects)), []);
    },
  };
}

function toError(violation: {
  path: string;
  keyword: string;
  property?: string | undefined;
  message: string;
  invariant?: string | undefined;
}): ImportErrorShape {
  return {
    path: violation.path,
    keyword: violation.keyword,
    property: violation.property ?? null,
    message: violation.message,
    invariant: violation.invariant ?? null,
  };
}

function notStored(module: ProtocolModule): ImportErrorShape {
  return {
    path: '/',
    keyword: 'NOT_IMPLEMENTED',
    property: null,
    message: `the ${module} module validates this object but does not store it yet`,
    invariant: null,
  };
}

function conflict(module: ProtocolModule, id: string): ImportErrorShape {
  return {
    path: '/',
    keyword: 'CONFLICT',
    property: null,
    message: `${module} ${id} exists with other content`,
    invariant: null,
  };
}

function isRace(error: unknown): boolean {
  if (error instanceof ConcurrentInsert) return true;
  return typeof error === 'object' && error !== null && 'code' in error && error.code === '23505';
}
