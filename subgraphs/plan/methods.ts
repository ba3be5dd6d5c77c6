import { type Connection, createConnection, type Page, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId, newId, requireId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import { isoText } from '#shared/record.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import type { Commands } from './commands.ts';
import { parseMethod } from './methodInputs.ts';
import type { PlanMethodRow } from './rows.ts';
import { taskName } from './taskInputs.ts';

export const maxMethods = 1_000;
const list = 'planMethods';

const columns = `m.tenant_id AS "tenantId", m.id, m.task, m.name, m.rank, m.parameters, m.bindings, m.precondition, m.subtask_order AS "subtaskOrder",
  m.subtasks, m.step, ${isoText('m.created_at')} AS "createdAt", m.created_by AS "createdBy", m.ordinal`;

function methodEvent(type: string, method: PlanMethodRow): NewEvent {
  return { streamId: method.id, type, data: { method }, tags: [list] };
}

/** Ways to do tasks, which decompositions choose among. */
export function createMethods({ sql }: Pick<ModuleRuntime, 'sql'>, commands: Commands) {
  return {
    /** @throws {VALIDATION_FAILED} {CONFLICT} {QUOTA_EXCEEDED} */
    async create(scope: RequestScope, raw: unknown): Promise<string> {
      const { tenantId, subject } = scope.principal;
      const { method, idempotencyKey } = parseMethod(raw);
      // As calls without bindings were kept.
      const { bindings, ...rest } = method;
      const input = bindings.length === 0 ? rest : method;
      const call = { operation: 'createPlanMethod', input, idempotencyKey };
      const { methodId } = await commands.run(scope, call, async (tx) => {
        // One at a time in a tenant, so that the count holds.
        await tx.unsafe('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`plan.method ${tenantId}`], {
          prepare: true,
        });
        const [counted] = (await tx.unsafe(
          'SELECT count(*)::int AS count FROM plan.method WHERE tenant_id = $1',
          [tenantId],
          { prepare: true },
        )) as unknown as { count: number }[];
        if (counted!.count >= maxMethods)
          throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxMethods} methods in a tenant`);
        const [row] = (await tx.unsafe(
          `INSERT INTO plan.method AS m (tenant_id, id, task, name, rank, parameters, precondition, subtask_order, subtasks, step, created_by, bindings)
           VALUES ($1, $2, $3, $4, $5, $6::text[], $7, $8, $9::text::jsonb, $10::text::jsonb, $11, $12::text::jsonb)
           ON CONFLICT (tenant_id, task, name) DO NOTHING RETURNING ${columns}`,
          [
            ...[tenantId, newId(), method.task, method.name, method.rank],
            ...[method.parameters as string[], method.precondition, method.subtaskOrder],
            ...[method.subtasks, method.step].map((part) => (part === null ? null : JSON.stringify(part))),
            subject,
            JSON.stringify(method.bindings),
          ],
          { prepare: true },
        )) as unknown as PlanMethodRow[];
        if (!row)
          throw new PlatformError('CONFLICT', `another method of ${method.task} has this name`, {
            path: ['input', 'name'],
          });
        return {
          response: { methodId: row.id },
          events: [methodEvent('plan.method.created', row)],
          audit: [{ action: 'plan.method.create', resource: 'PlanMethod', resourceId: row.id }],
        };
      });
      return methodId;
    },

    /** @throws {NOT_FOUND} {VALIDATION_FAILED} */
    async remove(scope: RequestScope, id: string, idempotencyKey: string | null | undefined): Promise<string> {
      requireId(id, ['methodId']);
      const call = { operation: 'deletePlanMethod', input: { methodId: id }, idempotencyKey };
      const { methodId } = await commands.run(scope, call, async (tx) => {
        const [row] = (await tx.unsafe(
          `DELETE FROM plan.method m WHERE m.tenant_id = $1 AND m.id = $2 RETURNING ${columns}`,
          [scope.principal.tenantId, id],
          { prepare: true },
        )) as unknown as PlanMethodRow[];
        if (!row) throw new PlatformError('NOT_FOUND', 'no such method', { path: ['methodId'] });
        return {
          response: { methodId: id },
          events: [methodEvent('plan.method.deleted', row)],
          audit: [{ action: 'plan.method.delete', resource: 'PlanMethod', resourceId: id }],
        };
      });
      return methodId;
    },

    async find(tenantId: string, id: string): Promise<PlanMethodRow | null> {
      if (!isId(id)) return null;
      const [row] = (await sql.unsafe(
        `SELECT ${columns} FROM plan.method m WHERE m.tenant_id = $1 AND m.id = $2`,
        [tenantId, id],
        { prepare: true },
      )) as unknown as PlanMethodRow[];
      return row ?? null;
    },

    /** All of a tenant, those of a task in the order in which they are tried. */
    async findAll(tenantId: string): Promise<PlanMethodRow[]> {
      return (await sql.unsafe(
        `SELECT ${columns} FROM plan.method m WHERE m.tenant_id = $1 ORDER BY m.task, m.rank, m.ordinal`,
        [tenantId],
        { prepare: true },
      )) as unknown as PlanMethodRow[];
    },

    /** @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
    async list(
      scope: RequestScope,
      { task, ...input }: PageInput & { readonly task?: string | null | undefined },
    ): Promise<Connection<PlanMethodRow>> {
      const page = readPage(list, 3, input);
      const only = task == null ? null : parseInput(taskName, task, ['task']);
      const [afterTask, afterRank, afterOrdinal] = placeOf(page.from);
      const [compare, direction] = page.direction === 'forward' ? ['>', 'ASC'] : ['<', 'DESC'];
      scope.readTags.add(list);
      const rows = (await sql.unsafe(
        `SELECT ${columns} FROM plan.method m
         WHERE m.tenant_id = $1 AND ($2::text IS NULL OR m.task = $2)
           AND ($3::text IS NULL OR (m.task, m.rank, m.ordinal) ${compare} ($3::text, $4::int, $5::bigint))
         ORDER BY m.task ${direction}, m.rank ${direction}, m.ordinal ${direction} LIMIT $6`,
        [scope.principal.tenantId, only, afterTask, afterRank, afterOrdinal, page.limit + 1],
        { prepare: true },
      )) as unknown as PlanMethodRow[];
      return createConnection(list, page, rows, ({ task: of, rank, ordinal }) => [of, rank, ordinal]);
    },
  };
}

export type Methods = ReturnType<typeof createMethods>;

function placeOf(from: Page['from']): readonly [string, number, number] | readonly [null, null, null] {
  if (from === null) return [null, null, null];
  const [task, rank, ordinal] = from;
  const isRank = typeof rank === 'number' && Number.isInteger(rank) && Math.abs(rank) <= 1_000_000;
  if (typeof task !== 'string' || !isRank || !Number.isSafeInteger(ordinal))
    throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
  return [task, rank, ordinal as number];
}
