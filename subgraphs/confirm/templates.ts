import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import {
  findIdempotentResponse,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { isId, newId, requireId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { isoText } from '#shared/record.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { readClock } from './clock.ts';
import { templateEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { readConfirmLimits } from './limits.ts';
import type { Json, WorkflowTemplateRow } from './rows.ts';
import { toDefinition } from './workflowInput.ts';

const columns = `t.tenant_id AS "tenantId", t.id, t.name, t.description, t.active, t.latest_version AS "latestVersion", v.version, v.triggers, v.definition,
  ${isoText('t.created_at')} AS "createdAt", t.created_by AS "createdBy", ${isoText('t.updated_at')} AS "updatedAt", t.updated_by AS "updatedBy"`;
const joined =
  'confirm.template t JOIN confirm.template_version v ON v.tenant_id = t.tenant_id AND v.template_id = t.id';

export interface TemplateSituation {
  readonly confirmationType: string;
  readonly contextId: string | null;
  readonly amount: number | null;
  readonly department: string | null;
}

export interface WriteOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

const list = 'workflowTemplates';

/** Named ways of approval. A changed workflow is a new version; what has started runs by the version it started with. */
export function createTemplates(runtime: ModuleRuntime) {
  const { sql, publisher } = runtime;
  const limits = readConfirmLimits(runtime.config);

  async function find(tx: Sql | SqlTransaction, tenantId: string, id: string, version: number | null) {
    const rows = (await tx.unsafe(
      `SELECT ${columns} FROM ${joined} WHERE t.tenant_id = $1 AND t.id = $2 AND v.version = coalesce($3::int, t.latest_version)`,
      [tenantId, id, version],
      { prepare: true },
    )) as unknown as WorkflowTemplateRow[];
    return rows[0] ?? null;
  }

  async function write(
    scope: RequestScope,
    call: IdempotentCall | null,
    work: (tx: SqlTransaction) => Promise<{ row: WorkflowTemplateRow; type: string }>,
  ): Promise<WorkflowTemplateRow> {
    const { tenantId, subject } = scope.principal;
    const attempt = async (): Promise<WorkflowTemplateRow> => {
      const known = await findIdempotentResponse(sql, 'confirm', call);
      if (known) {
        const { id, version } = known.response as { id: string; version: number };
        return (await find(sql, tenantId, id, version))!;
      }
      let events: readonly EventRow[] = [];
      const stored = await sql.begin(async (tx) => {
        const { row, type } = await work(tx);
        events = await appendChange(tx, 'confirm', [
          {
            tenantId,
            actor: subject,
            traceparent: scope.traceparent,
            events: [templateEvent(type, row)],
            audit: [
              { action: type, resource: 'WorkflowTemplate', resourceId: row.id, detail: { version: row.version } },
            ],
            idempotency: idempotencyRecord(call, { id: row.id, version: row.version }),
          },
        ]);
        return row;
      });
      await publisher.published(events, scope);
      return stored;
    };
    try {
      return await transactionRetry.execute(attempt);
    } catch (error) {
      if (isIdempotencyRace(error)) return attempt();
      if (isNameTaken(error))
        throw new PlatformError('CONFLICT', 'another template has this name', { path: ['input', 'name'] });
      throw error;
    }
  }

  const callOf = (scope: RequestScope, key: string | null | undefined, operation: string, input: unknown) =>
    key == null
      ? null
      : { tenantId: scope.principal.tenantId, subject: scope.principal.subject, key, operation, input };

  async function putVersion(tx: SqlTransaction, row: WorkflowTemplateRow): Promise<void> {
    await tx.unsafe(
      'INSERT INTO confirm.template_version (tenant_id, template_id, version, triggers, definition, created_by) VALUES ($1, $2, $3, $4::text::jsonb, $5::text::jsonb, $6)',
      [row.tenantId, row.id, row.version, JSON.stringify(row.triggers), JSON.stringify(row.definition), row.updatedBy],
      { prepare: true },
    );
  }

  return {
    /** @throws {INVALID_WORKFLOW} {CONFLICT} {VALIDATION_FAILED} */
    async create(scope: RequestScope, raw: unknown): Promise<WorkflowTemplateRow> {
      const { idempotencyKey, ...input } = parseInput(inputs.template, raw);
      const { tenantId, subject } = scope.principal;
      const definition = toDefinition(input.workflow, ['input', 'workflow'], limits);
      const draft: Omit<WorkflowTemplateRow, 'createdAt' | 'updatedAt'> = {
        tenantId,
        id: newId(),
        name: input.name,
        description: input.description ?? null,
        active: input.active ?? true,
        latestVersion: 1,
        version: 1,
        triggers: toTriggers(input.triggers),
        definition,
        createdBy: subject,
        updatedBy: subject,
      };
      return write(scope, callOf(scope, idempotencyKey, 'createWorkflowTemplate', input), async (tx) => {
        // By the clock of the deadlines: of equal templates the oldest fits.
        const at = await nowText(tx);
        const row: WorkflowTemplateRow = { ...draft, createdAt: at, updatedAt: at };
        await tx.unsafe(
          'INSERT INTO confirm.template (tenant_id, id, name, description, active, latest_version, created_at, created_by, updated_at, updated_by) VALUES ($1, $2, $3, $4, $5, 1, $6::text::timestamptz, $7, $6::text::timestamptz, $7)',
          [tenantId, row.id, row.name, row.description, row.active, at, subject],
          { prepare: true },
        );
        await putVersion(tx, row);
        return { row, type: 'workflow.template.created' };
      });
    },

    /** Another workflow or other triggers make a new version. @throws {NOT_FOUND} {VERSION_CONFLICT} {INVALID_WORKFLOW} */
    async update(scope: RequestScope, id: string, raw: unknown, options: WriteOptions): Promise<WorkflowTemplateRow> {
      requireId(id, ['templateId']);
      const patch = parseInput(inputs.templatePatch, raw, ['patch']);
      const { tenantId, subject } = scope.principal;
      const definition = patch.workflow ? toDefinition(patch.workflow, ['patch', 'workflow'], limits) : null;
      const key = parseInput(inputs.template.shape.idempotencyKey, options.idempotencyKey, ['idempotencyKey']);
      const input = { id, patch, expectedVersion: options.expectedVersion ?? null };
      return write(scope, callOf(scope, key, 'updateWorkflowTemplate', input), async (tx) => {
        await tx`SELECT 1 FROM confirm.template WHERE tenant_id = ${tenantId} AND id = ${id} FOR UPDATE`;
        const before = await find(tx, tenantId, id, null);
        if (!before) throw new PlatformError('NOT_FOUND', 'no such workflow template', { path: ['templateId'] });
        requireVersion(options.expectedVersion, before.latestVersion);
        const isNewVersion = definition !== null || patch.triggers != null;
        const version = before.latestVersion + (isNewVersion ? 1 : 0);
        const row: WorkflowTemplateRow = {
          ...before,
          name: patch.name ?? before.name,
          description: patch.description === undefined ? before.description : patch.description,
          active: patch.active ?? before.active,
          latestVersion: version,
          version,
          triggers: patch.triggers == null ? before.triggers : toTriggers(patch.triggers),
          definition: definition ?? before.definition,
          updatedAt: await nowText(tx),
          updatedBy: subject,
        };
        await tx.unsafe(
          'UPDATE confirm.template SET name = $3, description = $4, active = $5, latest_version = $6, updated_at = $7::text::timestamptz, updated_by = $8 WHERE tenant_id = $1 AND id = $2',
          [tenantId, id, row.name, row.description, row.active, version, row.updatedAt, subject],
          { prepare: true },
        );
        if (isNewVersion) await putVersion(tx, row);
        return { row, type: 'workflow.template.updated' };
      });
    },

    find: (tenantId: string, id: string, version: number | null = null) =>
      isId(id) ? find(sql, tenantId, id, version) : Promise.resolve(null),

    /** The active template that fits most closely; of equals the oldest. */
    async match(tenantId: string, situation: TemplateSituation): Promise<WorkflowTemplateRow | null> {
      const rows = (await sql.unsafe(
        `SELECT ${columns} FROM ${joined} AND v.version = t.latest_version WHERE t.tenant_id = $1 AND t.active ORDER BY t.created_at, t.id LIMIT 1000`,
        [tenantId],
        { prepare: true },
      )) as unknown as WorkflowTemplateRow[];
      let best: { row: WorkflowTemplateRow; score: number } | null = null;
      for (const row of rows) {
        const score = closeness(row.triggers, situation);
        if (score !== null && (best === null || score > best.score)) best = { row, score };
      }
      return best?.row ?? null;
    },

    async list(
      scope: RequestScope,
      { active, ...input }: PageInput & { readonly active?: boolean | null | undefined },
    ) {
      const page = readPage(list, 2, input);
      const [at = null, id = null] = page.from ?? [];
      const [compare, direction] = page.direction === 'forward' ? ['<', 'DESC'] : ['>', 'ASC'];
      scope.readTags.add('workflowTemplates');
      const rows = (await sql.unsafe(
        `SELECT ${columns} FROM ${joined} AND v.version = t.latest_version
         WHERE t.tenant_id = $1 AND ($2::boolean IS NULL OR t.active = $2) AND ($3::text IS NULL OR (t.created_at, t.id) ${compare} ($3::text::timestamptz, $4::text::uuid))
         ORDER BY t.created_at ${direction}, t.id ${direction} LIMIT $5`,
        [scope.principal.tenantId, active ?? null, at, id, page.limit + 1],
        { prepare: true },
      )) as unknown as WorkflowTemplateRow[];
      return createConnection(list, page, rows, (row) => [row.createdAt, row.id]);
    },
  };
}

const nowText = async (tx: SqlTransaction) => new Date(await readClock(tx)).toISOString();

export type Templates = ReturnType<typeof createTemplates>;

/** The amount that triggers look at. */
export function amountOf(subject: Readonly<Record<string, unknown>> | null | undefined): number | null {
  const amount = subject?.['amount'];
  return typeof amount === 'number' ? amount : null;
}

/**
 * What an approval is about, with the amount at least what the target costs by figures of its own: who asks may say more,
 * and not less.
 */
export function withCost<Subject extends Readonly<Record<string, unknown>> | null>(
  subject: Subject,
  cost: number | null,
): Subject | Json {
  if (cost === null || (amountOf(subject) ?? Number.NEGATIVE_INFINITY) >= cost) return subject;
  return { ...subject, amount: cost };
}

function toTriggers(triggers: object | null | undefined): Json {
  return Object.fromEntries(
    Object.entries(triggers ?? {}).filter(([, value]) => value !== null && value !== undefined),
  );
}

/** How closely triggers fit, by the number of conditions met; null when one is not, or when there is none. */
function closeness(
  triggers: Json,
  { confirmationType, contextId, amount, department }: TemplateSituation,
): number | null {
  const { confirmationTypes, contextIds, minimumAmount, maximumAmount, departments } = triggers as {
    readonly confirmationTypes?: readonly string[];
    readonly contextIds?: readonly string[];
    readonly minimumAmount?: number;
    readonly maximumAmount?: number;
    readonly departments?: readonly string[];
  };
  const tests: boolean[] = [];
  if (confirmationTypes) tests.push(confirmationTypes.includes(confirmationType));
  if (contextIds) tests.push(contextId !== null && contextIds.includes(contextId));
  if (minimumAmount !== undefined) tests.push(amount !== null && amount >= minimumAmount);
  if (maximumAmount !== undefined) tests.push(amount !== null && amount <= maximumAmount);
  if (departments) tests.push(department !== null && departments.includes(department));
  return tests.length > 0 && tests.every(Boolean) ? tests.length : null;
}

function isNameTaken(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'constraint_name' in error &&
    error.constraint_name === 'template_name_key'
  );
}
