import type { ValidateFunction } from 'ajv';
import { LRUCache } from 'lru-cache';
import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { Once } from '#shared/once.ts';
import { isoText } from '#shared/record.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { jsonProblem, parseInput, text } from '#shared/validation.ts';
import { compareSchemas } from './compatibility.ts';
import { findMissing, type Reference, referenceKeyword } from './references.ts';
import { compileSchema, type DataChanges, type DataError, findSchemaProblems, toDataErrors } from './schemaRules.ts';

export interface SchemaRow {
  readonly tenantId: string;
  readonly name: string;
  readonly version: number;
  readonly document: object;
  readonly status: 'active' | 'deprecated';
  readonly createdBy: string;
  readonly createdAt: string;
}

const columns = `s.tenant_id AS "tenantId", s.name, s.version, s.document, s.status, s.created_by AS "createdBy", ${isoText('s.created_at')} AS "createdAt"`;
const schemaName = text({ min: 1, max: 255 }).regex(/^[A-Za-z][\w.-]*$/, 'expected letters, digits and . _ -');
const maxSchemas = 1_000;
const maxDataBytes = 262_144;
const maxWarnings = 100;
const maxReferences = 100;

export interface DataWarning {
  /** JSON pointer into the data. */
  readonly path: string;
  readonly code: 'DEPRECATED_SCHEMA' | 'REMOVED';
  readonly message: string;
}

/** Pointers to members that are there before and not after. */
function removedFrom(before: unknown, after: unknown, path = ''): readonly string[] {
  if (typeof before !== 'object' || before === null || typeof after !== 'object' || after === null) return [];
  return Object.entries(before).flatMap(([name, value]) => {
    const place = `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    return Object.hasOwn(after, name) ? removedFrom(value, Reflect.get(after, name), place) : [place];
  });
}

/** JSON schemas of tenants, in versions that never change, and data held to them. */
export function createSchemas(runtime: ModuleRuntime, once: Once) {
  const { sql } = runtime;
  const compiled = new LRUCache<string, ValidateFunction>({ max: 500 });

  async function find(tenantId: string, name: string, version: number | null): Promise<SchemaRow | null> {
    const [row] = (await sql.unsafe(
      `SELECT ${columns} FROM platform.schema_document s
       WHERE s.tenant_id = $1 AND s.name = $2 AND ($3::int IS NULL OR s.version = $3) ORDER BY s.version DESC LIMIT 1`,
      [tenantId, name, version],
      { prepare: true },
    )) as unknown as SchemaRow[];
    return row ?? null;
  }

  async function requireSchema(scope: RequestScope, name: string, version: number | null): Promise<SchemaRow> {
    parseInput(schemaName, name, ['name']);
    const row = await find(scope.principal.tenantId, name, version);
    if (!row) throw new PlatformError('NOT_FOUND', 'no such schema', { path: ['name'] });
    return row;
  }

  async function validatorOf(
    { tenantId, name, version, document }: SchemaRow,
    changes: DataChanges,
  ): Promise<ValidateFunction> {
    const key = JSON.stringify([tenantId, name, version, changes.coerce, changes.removeUnknown]);
    const known = compiled.get(key) ?? (await compileSchema(document, changes));
    compiled.set(key, known);
    return known;
  }

  /** Looked for in the graph as the caller. */
  async function referenceErrors(
    { principal, signal }: RequestScope,
    references: readonly Reference[],
  ): Promise<readonly DataError[]> {
    if (references.length === 0) return [];
    if (references.length > maxReferences)
      throw new PlatformError('LIMIT_EXCEEDED', `data: expected at most ${maxReferences} references`, {
        path: ['data'],
      });
    const missing = await findMissing(runtime.graph, principal, references, signal);
    return missing.map(({ type, path }) => ({
      path: path || '/',
      keyword: referenceKeyword,
      message: `there is no such ${type}`,
      params: { type },
    }));
  }

  return {
    find(scope: RequestScope, name: string, version: number | null): Promise<SchemaRow | null> {
      parseInput(schemaName, name, ['name']);
      return find(scope.principal.tenantId, name, version);
    },

    async page(scope: RequestScope, name: string | null, input: PageInput) {
      const list = `schemas ${name ?? ''}`;
      const page = readPage(list, 2, input);
      const [after = null, version = null] = (page.from ?? []) as readonly (string | number | null)[];
      const rows = (await sql.unsafe(
        `SELECT ${columns} FROM platform.schema_document s
         WHERE s.tenant_id = $1 AND ($2::text IS NULL OR s.name = $2) AND ($3::text IS NULL OR (s.name, -s.version) > ($3, -$4::int))
         ORDER BY s.name, s.version DESC LIMIT $5`,
        [scope.principal.tenantId, name, after, version, page.limit + 1],
        { prepare: true },
      )) as unknown as SchemaRow[];
      return createConnection(list, page, rows, (row) => [row.name, row.version]);
    },

    /** The next version of a schema. @throws {VALIDATION_FAILED} with every problem in `details` {QUOTA_EXCEEDED} */
    async register(
      scope: RequestScope,
      name: string,
      document: unknown,
      call: IdempotentCall | null,
    ): Promise<SchemaRow> {
      parseInput(schemaName, name, ['name']);
      const problems = await findSchemaProblems(document);
      if (problems.length > 0)
        throw new PlatformError('VALIDATION_FAILED', `document ${problems[0]!.path}: ${problems[0]!.message}`, {
          path: ['document'],
          details: { problems },
        });
      const { tenantId, subject } = scope.principal;
      return once<SchemaRow>(scope, {
        call,
        async repeat(response) {
          return requireSchema(scope, name, (response as { version: number }).version);
        },
        async write(tx) {
          await tx`SELECT pg_advisory_xact_lock(hashtextextended(${`platform.schema/${tenantId}`}, 0))`;
          const [known] = await tx<{ total: number; last: number | null }[]>`
            SELECT count(*) AS total, max(version) FILTER (WHERE name = ${name}) AS last
            FROM platform.schema_document WHERE tenant_id = ${tenantId}`;
          if (known!.total >= maxSchemas)
            throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxSchemas} versions of schemas`);
          const [row] = (await tx.unsafe(
            `INSERT INTO platform.schema_document AS s (tenant_id, name, version, document, created_by)
             VALUES ($1, $2, $3, $4::text::jsonb, $5) RETURNING ${columns}`,
            [tenantId, name, (known!.last ?? 0) + 1, JSON.stringify(document), subject],
          )) as unknown as SchemaRow[];
          const { version } = row!;
          const streamId = derivedId(`schemas ${tenantId}`);
          return {
            row: row!,
            response: { version },
            changes: [
              {
                events: [{ streamId, type: 'event.schema.registered', data: { name, version }, tags: [] }],
                audit: [{ action: 'schema.registered', resource: 'JsonSchema', resourceId: name, detail: { version } }],
              },
            ],
          };
        },
      });
    },

    /** Again it changes nothing. @throws {NOT_FOUND} */
    async setStatus(
      scope: RequestScope,
      { name, version, status }: Pick<SchemaRow, 'name' | 'version' | 'status'>,
      call: IdempotentCall | null,
    ): Promise<SchemaRow> {
      const before = await requireSchema(scope, name, version);
      return once<SchemaRow>(scope, {
        call,
        repeat: () => requireSchema(scope, name, version),
        async write(tx) {
          const [row] = (await tx.unsafe(
            `UPDATE platform.schema_document s SET status = $4
             WHERE s.tenant_id = $1 AND s.name = $2 AND s.version = $3 AND s.status <> $4 RETURNING ${columns}`,
            [scope.principal.tenantId, name, version, status],
          )) as unknown as SchemaRow[];
          if (!row) return { row: { ...before, status }, response: {}, changes: [] };
          const streamId = derivedId(`schemas ${scope.principal.tenantId}`);
          const detail = { version, status };
          return {
            row,
            response: {},
            changes: [
              {
                events: [{ streamId, type: 'event.schema.status', data: { name, ...detail }, tags: [] }],
                audit: [{ action: 'schema.status', resource: 'JsonSchema', resourceId: name, detail }],
              },
            ],
          };
        },
      });
    },

    /** Holds data to a schema; what `changes` asks for is done in the data answered. */
    async validate(
      scope: RequestScope,
      { name, version, data, ...changes }: { name: string; version: number | null; data: unknown } & DataChanges,
    ) {
      const problem = jsonProblem(data, { maxBytes: maxDataBytes });
      if (problem !== null) throw new PlatformError('VALIDATION_FAILED', `data: ${problem}`, { path: ['data'] });
      const schema = await requireSchema(scope, name, version);
      const validate = await validatorOf(schema, changes);
      // Coercing writes into what it is given, save the root itself.
      const holder = structuredClone(data);
      const references: Reference[] = [];
      const fits = validate.call(references as never, holder) === true;
      const errors = fits ? await referenceErrors(scope, references) : toDataErrors(validate.errors);
      const valid = errors.length === 0;
      validate.errors = null;
      const warnings: DataWarning[] =
        schema.status === 'deprecated'
          ? [{ path: '/', code: 'DEPRECATED_SCHEMA', message: `version ${schema.version} of ${name} is deprecated` }]
          : [];
      if (valid && changes.removeUnknown)
        for (const path of removedFrom(data, holder).slice(0, maxWarnings))
          warnings.push({ path, code: 'REMOVED', message: 'the schema does not name it' });
      const isChanged = changes.coerce || changes.removeUnknown;
      return {
        valid,
        errors: [...errors],
        warnings,
        version: schema.version,
        data: isChanged && valid ? holder : null,
      };
    },

    /** What a schema in place of a registered one would change. */
    async compare(scope: RequestScope, name: string, version: number | null, document: unknown) {
      const problems = await findSchemaProblems(document);
      if (problems.length > 0)
        throw new PlatformError('VALIDATION_FAILED', `document ${problems[0]!.path}: ${problems[0]!.message}`, {
          path: ['document'],
          details: { problems },
        });
      const before = await requireSchema(scope, name, version);
      const changes = compareSchemas(before.document, document);
      return { compatible: changes.every(({ breaking }) => !breaking), version: before.version, changes: [...changes] };
    },
  };
}
