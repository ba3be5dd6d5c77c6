import { operatorTenantOf } from '#shared/config.ts';
import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { Once } from '#shared/once.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { requireVersion } from '#shared/validation.ts';
import type { Keyring } from '../security/keyring.ts';
import { configPurpose, sealedValue } from '../security/resealing.ts';
import type { ConfigPlace } from './inputs.ts';
import { type ConfigRow, configColumns } from './rows.ts';

/** Changes of a tenant's configuration are one stream; those for all tenants are the operator's. */
export const configStream = (tenantId: string) => derivedId(`config ${tenantId}`);

/** What the values of a key are kept under, in the tenant whose they are. */
export const configTag = (key: string) => `Config:${key}`;

export interface ConfigChange {
  readonly expectedVersion: number | null;
  readonly call: IdempotentCall | null;
}

/** Holds a value to a schema of the caller's tenant; answers it with its version. @throws {VALIDATION_FAILED} */
export type HoldTo = (scope: RequestScope, schemaRef: string, value: unknown) => Promise<string>;

export interface ConfigEntriesDeps {
  readonly once: Once;
  readonly keyring: Keyring;
  readonly holdTo: HoldTo;
}

export interface NewConfig {
  readonly value: unknown;
  readonly secret: boolean;
  /** Empty ends that of before; null keeps it. */
  readonly schemaRef: string | null;
}

/** What a change makes of the entry as it stands. */
type Next = (before: ConfigRow | null, tx: SqlTransaction) => Promise<NewValue> | NewValue;
/** A secret's value is not known here: it is copied from the version named. */
interface NewValue {
  readonly value: unknown;
  readonly schemaRef: string | null;
  readonly copyOf?: number;
  readonly secret: boolean;
  readonly deleted: boolean;
}

const isForAll = ({ scope }: ConfigPlace) => scope === 'global' || scope === 'environment';

/** Versioned values: each change is a row of its own, and the newest stands in the entry. */
export function createConfigEntries({ sql, config }: ModuleRuntime, { once, keyring, holdTo }: ConfigEntriesDeps) {
  const ownerOf = (scope: RequestScope, place: ConfigPlace) => (isForAll(place) ? '' : scope.principal.tenantId);

  /** @throws {PERMISSION_DENIED} where the change would be everybody's and the caller is no operator. */
  function requireOperator(scope: RequestScope, place: ConfigPlace): void {
    if (isForAll(place) && operatorTenantOf(config) !== scope.principal.tenantId)
      throw new PlatformError('PERMISSION_DENIED', 'what holds for all tenants is changed by the operator’s tenant');
  }

  async function find(db: Sql | SqlTransaction, tenantId: string, place: ConfigPlace): Promise<ConfigRow | null> {
    const [row] = (await db.unsafe(
      `SELECT ${configColumns} FROM platform.config_entry c
       WHERE c.tenant_id = $1 AND c.scope = $2 AND c.target = $3 AND c.key = $4`,
      [tenantId, place.scope, place.target, place.key],
      { prepare: true },
    )) as unknown as ConfigRow[];
    return row ?? null;
  }

  /** One more version of a value. @throws {VERSION_CONFLICT} */
  async function change(
    scope: RequestScope,
    place: ConfigPlace,
    verb: 'set' | 'deleted' | 'rolled.back',
    { expectedVersion, call, next }: ConfigChange & { readonly next: Next },
  ): Promise<ConfigRow> {
    requireOperator(scope, place);
    const owner = ownerOf(scope, place);
    const { tenantId, subject } = scope.principal;
    return once<ConfigRow>(scope, {
      call,
      async repeat() {
        const row = await find(sql, owner, place);
        if (!row) throw new PlatformError('NOT_FOUND', 'no such value', { path: ['key'] });
        return row;
      },
      async write(tx) {
        const lock = JSON.stringify(['platform.config', owner, place.scope, place.target, place.key]);
        await tx`SELECT pg_advisory_xact_lock(hashtextextended(${lock}, 0))`;
        const before = await find(tx, owner, place);
        // What is not there has no version: 0 insists on that.
        const current = before === null || before.deleted ? 0 : before.version;
        requireVersion(expectedVersion, current);
        const after = await next(before?.deleted ? null : before, tx);
        const values = [owner, place.scope, place.target, place.key, (before?.version ?? 0) + 1];
        await tx.unsafe(
          `INSERT INTO platform.config_version (tenant_id, scope, target, key, version, value, secret, deleted, updated_by, schema_ref)
           SELECT $1, $2, $3, $4, $5, CASE WHEN $9::int IS NULL THEN $6::text::jsonb ELSE
             (SELECT value FROM platform.config_version WHERE tenant_id = $1 AND scope = $2 AND target = $3 AND key = $4 AND version = $9::int) END,
             $7, $8, $10, $11`,
          [
            ...values,
            after.deleted ? null : JSON.stringify(after.value),
            after.secret,
            after.deleted,
            after.copyOf ?? null,
            subject,
            after.schemaRef,
          ],
        );
        const [row] = (await tx.unsafe(
          `INSERT INTO platform.config_entry AS c (tenant_id, scope, target, key, value, secret, version, deleted, updated_by, schema_ref)
           SELECT tenant_id, scope, target, key, value, secret, version, deleted, updated_by, schema_ref FROM platform.config_version
           WHERE tenant_id = $1 AND scope = $2 AND target = $3 AND key = $4 AND version = $5
           ON CONFLICT (tenant_id, scope, target, key) DO UPDATE SET value = EXCLUDED.value, secret = EXCLUDED.secret, schema_ref = EXCLUDED.schema_ref,
             version = EXCLUDED.version, deleted = EXCLUDED.deleted, updated_by = EXCLUDED.updated_by, updated_at = now()
           RETURNING ${configColumns}`,
          values,
        )) as unknown as ConfigRow[];
        const { tenantId: _owner, ...entry } = row!;
        const detail = { key: place.key, scope: place.scope, target: place.target, version: row!.version };
        return {
          row: row!,
          response: {},
          changes: [
            {
              events: [
                {
                  streamId: configStream(tenantId),
                  type: `config.${verb}`,
                  data: { entry, everywhere: isForAll(place) },
                  tags: [configTag(place.key)],
                },
              ],
              audit: [{ action: `config.${verb}`, resource: 'ConfigEntry', resourceId: place.key, detail }],
            },
          ],
        };
      },
    });
  }

  return {
    find: (scope: RequestScope, place: ConfigPlace) => find(sql, ownerOf(scope, place), place),

    /** A secret is sealed before it is stored. @throws {UNAVAILABLE} where nothing can be sealed. */
    async set(scope: RequestScope, place: ConfigPlace, { value, secret, schemaRef, ...how }: ConfigChange & NewConfig) {
      requireOperator(scope, place);
      // Before the transaction: looking schemas and objects up takes connections of its own.
      const standing = schemaRef === null ? await find(sql, ownerOf(scope, place), place) : null;
      const known = standing === null || standing.deleted ? null : standing.schemaRef;
      const asked = schemaRef === '' ? null : (schemaRef ?? known);
      const held = asked === null ? null : await holdTo(scope, asked, value);
      const stored = secret
        ? sealedValue(
            await keyring.seal(
              { tenantId: ownerOf(scope, place), purpose: configPurpose(place) },
              JSON.stringify(value ?? null),
            ),
          )
        : value;
      return change(scope, place, 'set', {
        ...how,
        next(before) {
          // What it was held to may be another one by now: whoever asked looks again.
          if (schemaRef === null && (before?.schemaRef ?? null) !== known)
            throw new PlatformError('VERSION_CONFLICT', 'the schema of the entry was changed meanwhile', {
              path: ['input', 'schemaRef'],
            });
          return { value: stored, schemaRef: held, secret, deleted: false };
        },
      });
    },

    /** @throws {NOT_FOUND} where there is nothing to delete. */
    remove: (scope: RequestScope, place: ConfigPlace, how: ConfigChange) =>
      change(scope, place, 'deleted', {
        ...how,
        next(before) {
          if (before === null) throw new PlatformError('NOT_FOUND', 'no such value', { path: ['key'] });
          return { value: null, schemaRef: before.schemaRef, secret: before.secret, deleted: true };
        },
      }),

    /** The value of an earlier version becomes the newest. @throws {NOT_FOUND} {INVALID_STATE} where it was deleted then. */
    rollback: (scope: RequestScope, place: ConfigPlace, version: number, how: ConfigChange) =>
      change(scope, place, 'rolled.back', {
        ...how,
        async next(_before, tx) {
          const [old] = await tx<{ secret: boolean; deleted: boolean; schemaRef: string | null }[]>`
            SELECT secret, deleted, schema_ref AS "schemaRef" FROM platform.config_version
            WHERE tenant_id = ${ownerOf(scope, place)} AND scope = ${place.scope} AND target = ${place.target} AND key = ${place.key}
              AND version = ${version}`;
          if (!old) throw new PlatformError('NOT_FOUND', 'no such version', { path: ['version'] });
          if (old.deleted)
            throw new PlatformError('INVALID_STATE', 'the value was deleted then', { path: ['version'] });
          return { value: null, copyOf: version, schemaRef: old.schemaRef, secret: old.secret, deleted: false };
        },
      }),

    /** The tenant's own values and those for all, by key. */
    async page(scope: RequestScope, prefix: string, input: PageInput) {
      const list = 'configs';
      const page = readPage(list, 3, input);
      const [key = null, at = null, target = null] = (page.from ?? []) as readonly (string | null)[];
      const rows = (await sql.unsafe(
        `SELECT ${configColumns} FROM platform.config_entry c
         WHERE c.tenant_id IN ('', $1) AND NOT c.deleted AND starts_with(c.key, $2)
           AND ($3::text IS NULL OR (c.key, c.scope, c.target) > ($3, $4, $5))
         ORDER BY c.key, c.scope, c.target LIMIT $6`,
        [scope.principal.tenantId, prefix, key, at, target, page.limit + 1],
        { prepare: true },
      )) as unknown as ConfigRow[];
      return createConnection(list, page, rows, (row) => [row.key, row.scope, row.target]);
    },

    /** Versions of a value, newest first. */
    async history(scope: RequestScope, place: ConfigPlace, input: PageInput) {
      const list = `configHistory ${place.scope} ${place.target} ${place.key}`;
      const page = readPage(list, 1, input);
      const [before = null] = (page.from ?? []) as readonly (number | null)[];
      const rows = (await sql.unsafe(
        `SELECT ${configColumns} FROM platform.config_version c
         WHERE c.tenant_id = $1 AND c.scope = $2 AND c.target = $3 AND c.key = $4 AND ($5::int IS NULL OR c.version < $5)
         ORDER BY c.version DESC LIMIT $6`,
        [ownerOf(scope, place), place.scope, place.target, place.key, before, page.limit + 1],
        { prepare: true },
      )) as unknown as ConfigRow[];
      return createConnection(list, page, rows, (row) => [row.version]);
    },

    /** What holds of a key, of the nearest scope that says something: tenant, module, environment, global. */
    async effective(
      scope: RequestScope,
      key: string,
      { module, environment }: { readonly module: string | null; readonly environment: string },
    ): Promise<ConfigRow | null> {
      const [row] = (await sql.unsafe(
        `SELECT ${configColumns} FROM platform.config_entry c
         WHERE c.key = $2 AND NOT c.deleted AND (
           (c.tenant_id = $1 AND c.scope = 'tenant' AND c.target = '') OR (c.tenant_id = $1 AND c.scope = 'module' AND c.target = $3)
           OR (c.tenant_id = '' AND c.scope = 'environment' AND c.target = $4) OR (c.tenant_id = '' AND c.scope = 'global' AND c.target = ''))
         ORDER BY array_position(ARRAY['tenant', 'module', 'environment', 'global'], c.scope) LIMIT 1`,
        [scope.principal.tenantId, key, module ?? '', environment],
        { prepare: true },
      )) as unknown as ConfigRow[];
      return row ?? null;
    },
  };
}
