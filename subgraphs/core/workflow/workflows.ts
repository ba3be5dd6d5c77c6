import { readChildPage } from '#shared/childPages.ts';
import { type Connection, createConnection, type PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId, requireId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import { isoText } from '#shared/record.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import type { CallOptions, Commands } from '../commands.ts';
import { compileSchema } from '../execution/inputSchema.ts';
import * as inputs from '../inputs.ts';
import { findTimings } from '../metrics/durations.ts';
import type { CoreWorkflowRow, CoreWorkflowVersionRow } from '../rows.ts';
import { findProblems, planOf, requireRunnable, type WorkflowPlan, type WorkflowProblem } from './compile.ts';
import type { WorkflowDefinition } from './definition.ts';
import { timingKeysOf } from './estimate.ts';
import type { Operations } from './operations.ts';

type Db = Sql | SqlTransaction;

const columns = `w.tenant_id AS "tenantId", w.id, w.name, w.description, w.status, w.latest_version AS "latestVersion", w.max_executions AS "maxExecutions", w.running, w.version,
  ${isoText('w.created_at')} AS "createdAt", w.created_by AS "createdBy", ${isoText('w.updated_at')} AS "updatedAt", w.updated_by AS "updatedBy"`;
const versionColumns = `v.tenant_id AS "tenantId", v.workflow_id AS "workflowId", v.version, v.definition, v.plan, v.change, ${isoText('v.created_at')} AS "createdAt", v.created_by AS "createdBy"`;

export const workflowTag = (id: string) => `CoreWorkflow:${id}`;

export async function findWorkflows(db: Db, tenantId: string, ids: readonly string[]): Promise<CoreWorkflowRow[]> {
  return (await db.unsafe(
    `SELECT ${columns} FROM core.workflow w WHERE w.tenant_id = $1 AND w.id = ANY($2::uuid[])`,
    [tenantId, ids as string[]],
    {
      prepare: true,
    },
  )) as unknown as CoreWorkflowRow[];
}

/** The newest versions of workflows, up to `limit` of each, newest first. */
export async function findVersions(
  db: Db,
  tenantId: string,
  ids: readonly string[],
  limit: number,
): Promise<CoreWorkflowVersionRow[]> {
  return (await db.unsafe(
    `SELECT ${versionColumns} FROM unnest($2::uuid[]) AS k(id) CROSS JOIN LATERAL (
       SELECT * FROM core.workflow_version o WHERE o.tenant_id = $1 AND o.workflow_id = k.id ORDER BY o.version DESC LIMIT $3) v`,
    [tenantId, ids as string[], limit],
    { prepare: true },
  )) as unknown as CoreWorkflowVersionRow[];
}

/** Definitions of versions by `workflowId/version`, in the order of the keys; null where there is none. */
export async function findDefinitions(
  db: Db,
  tenantId: string,
  keys: readonly string[],
): Promise<(WorkflowDefinition | null)[]> {
  const parts = keys.map((key) => key.split('/') as [string, string]);
  const rows = (await db.unsafe(
    `SELECT v.workflow_id AS id, v.version, v.definition FROM unnest($2::uuid[], $3::int[]) AS k(id, version)
     JOIN core.workflow_version v ON v.tenant_id = $1 AND v.workflow_id = k.id AND v.version = k.version`,
    [tenantId, parts.map(([id]) => id), parts.map(([, version]) => Number(version))],
    { prepare: true },
  )) as unknown as { id: string; version: number; definition: WorkflowDefinition }[];
  const found = new Map(rows.map(({ id, version, definition }) => [`${id}/${version}`, definition]));
  return keys.map((key) => found.get(key) ?? null);
}

export async function findVersion(
  db: Db,
  tenantId: string,
  workflowId: string,
  version: number | null,
): Promise<CoreWorkflowVersionRow | null> {
  const [row] = (await db.unsafe(
    `SELECT ${versionColumns} FROM core.workflow w JOIN core.workflow_version v ON v.tenant_id = w.tenant_id AND v.workflow_id = w.id
     WHERE w.tenant_id = $1 AND w.id = $2 AND v.version = COALESCE($3::int, w.latest_version)`,
    [tenantId, workflowId, version],
    { prepare: true },
  )) as unknown as CoreWorkflowVersionRow[];
  return row ?? null;
}

function workflowEvent(type: string, row: CoreWorkflowRow): NewEvent {
  return { streamId: row.id, type, data: { workflow: row }, tags: [workflowTag(row.id), 'workflows'] };
}

export interface NewVersion {
  readonly definition: WorkflowDefinition;
  /** Kind of change it is. */
  readonly change: string;
  readonly expectedVersion: number | null;
}

export interface WorkflowCheck {
  readonly valid: boolean;
  readonly problems: readonly WorkflowProblem[];
  readonly plan: Required<WorkflowPlan> | null;
}

/** @throws {VALIDATION_FAILED} */
function requireSchemas({ inputSchema, outputSchema }: WorkflowDefinition): void {
  if (inputSchema !== null) compileSchema(inputSchema, 'inputSchema');
  if (outputSchema != null) compileSchema(outputSchema, 'outputSchema');
}

export type Workflows = ReturnType<typeof createWorkflows>;

export function createWorkflows(
  { sql }: { readonly sql: Sql },
  { commands, operations }: { readonly commands: Commands; readonly operations: Operations },
) {
  async function lock(tx: SqlTransaction, tenantId: string, id: string): Promise<CoreWorkflowRow> {
    const [row] = (await tx.unsafe(
      `SELECT ${columns} FROM core.workflow w WHERE w.tenant_id = $1 AND w.id = $2 FOR UPDATE`,
      [tenantId, id],
      {
        prepare: true,
      },
    )) as unknown as CoreWorkflowRow[];
    if (!row) throw new PlatformError('NOT_FOUND', 'no such workflow', { path: ['workflowId'] });
    return row;
  }

  /** By what was measured until now. @param workflowId null of one that is not stored */
  async function planNow(
    db: Db,
    tenantId: string,
    workflowId: string | null,
    definition: WorkflowDefinition,
  ): Promise<Required<WorkflowPlan>> {
    const keys = timingKeysOf(definition, workflowId);
    const found = await findTimings(db, tenantId, keys);
    return planOf({ definition, workflowId, timings: new Map(keys.map((key, at) => [key, found[at]!])) });
  }

  async function putVersion(tx: SqlTransaction, row: CoreWorkflowRow, definition: WorkflowDefinition, change: string) {
    await tx.unsafe(
      `INSERT INTO core.workflow_version (tenant_id, workflow_id, version, definition, plan, change, created_by) VALUES ($1, $2, $3, $4::text::jsonb, $5::text::jsonb, $6, $7)`,
      [
        row.tenantId,
        row.id,
        row.latestVersion,
        JSON.stringify(definition),
        JSON.stringify(await planNow(tx, row.tenantId, row.id, definition)),
        change,
        row.updatedBy,
      ],
      { prepare: true },
    );
  }

  return {
    async check({ principal }: Pick<RequestScope, 'principal'>, raw: unknown): Promise<WorkflowCheck> {
      const definition = parseInput(inputs.definition, raw, ['definition']);
      const problems = findProblems(definition, operations, ['definition']);
      const plan = problems.length === 0 ? await planNow(sql, principal.tenantId, null, definition) : null;
      return { valid: problems.length === 0, problems, plan };
    },

    /** @throws {CYCLIC_DEPENDENCY} {UNRESOLVED_REF} {UNKNOWN_OPERATION} {INVALID_WORKFLOW} {VALIDATION_FAILED} */
    async create(scope: RequestScope, raw: unknown): Promise<string> {
      const { idempotencyKey, ...input } = parseInput(inputs.createWorkflow, raw);
      requireRunnable(input.definition, operations);
      requireSchemas(input.definition);
      return commands.run(scope, { operation: 'createWorkflow', input, idempotencyKey }, async (tx) => {
        const { tenantId, subject } = scope.principal;
        const now = new Date().toISOString();
        const row: CoreWorkflowRow = {
          ...{ tenantId, id: newId(), name: input.name, description: input.description ?? null, status: 'active' },
          ...{ latestVersion: 1, maxExecutions: input.maxConcurrentExecutions ?? null, running: 0, version: 1 },
          ...{ createdAt: now, createdBy: subject, updatedAt: now, updatedBy: subject },
        };
        await tx.unsafe(
          `INSERT INTO core.workflow (tenant_id, id, name, description, status, latest_version, max_executions, created_by, updated_by) VALUES ($1, $2, $3, $4, 'active', 1, $5, $6, $6)`,
          [tenantId, row.id, row.name, row.description, row.maxExecutions, subject],
          { prepare: true },
        );
        await putVersion(tx, row, input.definition, 'workflow_created');
        return {
          response: row.id,
          events: [workflowEvent('workflow.created', row)],
          audit: [{ action: 'workflow.create', resource: 'CoreWorkflow', resourceId: row.id }],
        };
      });
    },

    /** A new version; what runs goes on by the one it started with. @param change what kind of change it is */
    async publish(
      scope: RequestScope,
      workflowId: string,
      raw: unknown,
      options: CallOptions & { readonly expectedVersion?: number | null; readonly change?: string },
    ): Promise<string> {
      const id = requireId(workflowId, ['workflowId']);
      const definition = parseInput(inputs.definition, raw, ['definition']);
      requireRunnable(definition, operations);
      requireSchemas(definition);
      return this.put(scope, id, definition, options);
    },

    async put(
      scope: RequestScope,
      id: string,
      definition: WorkflowDefinition,
      {
        idempotencyKey,
        expectedVersion,
        change = 'workflow_updated',
      }: CallOptions & { readonly expectedVersion?: number | null; readonly change?: string },
    ): Promise<string> {
      const call = {
        operation: 'publishWorkflowVersion',
        input: { id, definition, expectedVersion: expectedVersion ?? null },
        idempotencyKey,
      };
      return commands.run(scope, call, async (tx) => {
        const version = { definition, change, expectedVersion: expectedVersion ?? null };
        const { events, audit } = await this.publishIn(tx, scope, id, version);
        return { response: id, events, audit };
      });
    },

    /** A new version in the caller's transaction. @throws {INVALID_STATE} {VERSION_CONFLICT} {NOT_FOUND} */
    async publishIn(tx: SqlTransaction, scope: RequestScope, id: string, version: NewVersion) {
      const { tenantId, subject } = scope.principal;
      const before = await lock(tx, tenantId, id);
      requireVersion(version.expectedVersion, before.version);
      if (before.status === 'retired')
        throw new PlatformError('INVALID_STATE', 'the workflow is RETIRED', { path: ['workflowId'] });
      const row = await changeRow(tx, before, `latest_version = latest_version + 1, updated_by = $3`, [subject]);
      await putVersion(tx, row, version.definition, version.change);
      const detail = { version: row.latestVersion };
      return {
        row,
        events: [workflowEvent('workflow.version.published', row)],
        audit: [{ action: 'workflow.publish', resource: 'CoreWorkflow', resourceId: id, detail }],
      };
    },

    /** Starts nothing any more; what runs goes on. */
    async retire(
      scope: RequestScope,
      workflowId: string,
      { idempotencyKey, expectedVersion }: CallOptions & { readonly expectedVersion?: number | null | undefined },
    ): Promise<string> {
      const id = requireId(workflowId, ['workflowId']);
      const { tenantId, subject } = scope.principal;
      return commands.run(
        scope,
        { operation: 'retireWorkflow', input: { id, expectedVersion: expectedVersion ?? null }, idempotencyKey },
        async (tx) => {
          const before = await lock(tx, tenantId, id);
          requireVersion(expectedVersion, before.version);
          if (before.status === 'retired')
            throw new PlatformError('INVALID_STATE_TRANSITION', 'the workflow is RETIRED already', {
              path: ['workflowId'],
            });
          const row = await changeRow(tx, before, `status = 'retired', updated_by = $3`, [subject]);
          return {
            response: id,
            events: [workflowEvent('workflow.retired', row)],
            audit: [{ action: 'workflow.retire', resource: 'CoreWorkflow', resourceId: id }],
          };
        },
      );
    },

    /** Workflows of a tenant, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
    async list(tenantId: string, rawFilter: unknown, input: PageInput): Promise<Connection<CoreWorkflowRow>> {
      const filter = parseInput(inputs.workflowFilter, rawFilter ?? {}, ['filter']);
      const page = readChildPage({ list: 'workflows', sort: [{ type: 'timestamptz' }, { type: 'uuid' }] }, input);
      const parameters: unknown[] = [tenantId];
      const bind = (value: unknown) => `$${parameters.push(value)}`;
      const where = ['w.tenant_id = $1'];
      if (filter.status != null) where.push(`w.status = ${bind(filter.status.toLowerCase())}`);
      if (filter.namePattern != null)
        where.push(`w.name ILIKE ${bind(`%${filter.namePattern.replace(/[\\%_]/g, '\\$&')}%`)}`);
      if (filter.createdBy != null) where.push(`w.created_by = ${bind(filter.createdBy)}`);
      const backward = page.direction === 'backward';
      if (page.from !== null) {
        const [at, id] = page.from;
        where.push(`(w.created_at, w.id) ${backward ? '>' : '<'} (${bind(at)}::text::timestamptz, ${bind(id)}::uuid)`);
      }
      const order = backward ? 'ASC' : 'DESC';
      const rows = (await sql.unsafe(
        `SELECT ${columns} FROM core.workflow w WHERE ${where.join(' AND ')} ORDER BY w.created_at ${order}, w.id ${order} LIMIT ${bind(page.limit + 1)}`,
        parameters as never[],
        { prepare: true },
      )) as unknown as CoreWorkflowRow[];
      return createConnection('workflows', page, rows, (row) => [row.createdAt, row.id]);
    },
  };

  async function changeRow(
    tx: SqlTransaction,
    before: CoreWorkflowRow,
    assignments: string,
    parameters: readonly unknown[],
  ): Promise<CoreWorkflowRow> {
    const [row] = (await tx.unsafe(
      `UPDATE core.workflow w SET ${assignments}, version = version + 1, updated_at = now() WHERE w.tenant_id = $1 AND w.id = $2 RETURNING ${columns}`,
      [before.tenantId, before.id, ...parameters] as never[],
      { prepare: true },
    )) as unknown as CoreWorkflowRow[];
    return row!;
  }
}
