import { z } from 'zod';
import { type ChildList, readChildPage } from '#shared/childPages.ts';
import { createConnection, type PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import { noteListAccess, viewerOf, visibleCondition } from './access.ts';
import type {
  ExtensionConnectionRow,
  ExtensionExecutionConnectionRow,
  ExtensionExecutionRow,
  ExtensionRow,
} from './rows.ts';
import { executionColumns, extensionColumns } from './store.ts';

const words = z
  .array(text({ min: 1, max: 100 }).transform((value) => value.toLowerCase()))
  .max(50)
  .nullish();

const filterShape = z.object({
  contextId: id.nullish(),
  extensionType: words,
  status: words,
  runtimeState: words,
  name: text({ min: 1, max: 255 }).nullish(),
});

export type ExtensionFilterInput = z.output<typeof filterShape>;

export const readFilter = (raw: unknown): ExtensionFilterInput => parseInput(filterShape, raw ?? {}, ['filter']);

/** Conditions of a list of extensions; what was uninstalled only where its state is asked for. */
function filterConditions(filter: ExtensionFilterInput, parameters: unknown[]): string[] {
  const param = (value: unknown) => `$${parameters.push(value)}`;
  const conditions: string[] = [];
  if (filter.contextId != null) conditions.push(`e.context_id = ${param(filter.contextId)}::uuid`);
  if (filter.name != null) conditions.push(`e.name = ${param(filter.name)}`);
  for (const [column, list] of [
    ['extension_type', filter.extensionType],
    ['status', filter.status],
    ['runtime_state', filter.runtimeState],
  ] as const)
    if (list != null) conditions.push(`e.${column} = ANY(${param(list)}::text[])`);
  if (filter.runtimeState == null) conditions.push(`e.runtime_state <> 'uninstalled'`);
  return conditions;
}

const list = 'extensions';
const extensionSort = [
  { column: 'e.created_at', type: 'timestamptz', keyOf: (row: ExtensionRow) => row.createdAt },
  { column: 'e.id', type: 'uuid', keyOf: (row: ExtensionRow) => row.id },
] as const;

/** Extensions of a context, newest first. */
export function extensionsBelow(principal: Principal, filter: ExtensionFilterInput): ChildList<ExtensionRow> {
  return {
    list,
    columns: extensionColumns,
    from: () => 'extension.extension e',
    parent: { type: 'uuid', condition: 'e.context_id = k.parent' },
    sort: extensionSort,
    descending: true,
    conditions(parameters) {
      const tenant = `e.tenant_id = $${parameters.push(principal.tenantId)}`;
      const viewer = `$${parameters.push(viewerOf(principal))}`;
      return [tenant, visibleCondition('e', viewer), ...filterConditions(filter, parameters)];
    },
  };
}

/** Extensions of the tenant, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listExtensions(
  sql: Sql,
  scope: RequestScope,
  filter: ExtensionFilterInput,
  input: PageInput,
): Promise<ExtensionConnectionRow> {
  const page = readChildPage({ list, sort: extensionSort }, input);
  await noteListAccess(sql, scope);
  const { principal } = scope;
  const build = () => {
    const parameters: unknown[] = [principal.tenantId, viewerOf(principal)];
    const where = ['e.tenant_id = $1', visibleCondition('e', '$2'), ...filterConditions(filter, parameters)];
    return { parameters, where };
  };
  const { parameters, where } = build();
  const forward = page.direction === 'forward';
  if (page.from)
    where.push(
      `(e.created_at, e.id) ${forward ? '<' : '>'} ($${parameters.push(page.from[0])}::text::timestamptz, $${parameters.push(page.from[1])}::text::uuid)`,
    );
  const direction = forward ? 'DESC' : 'ASC';
  const rows = (await sql.unsafe(
    `SELECT ${extensionColumns} FROM extension.extension e WHERE ${where.join(' AND ')} ORDER BY e.created_at ${direction}, e.id ${direction} LIMIT $${parameters.push(page.limit + 1)}`,
    parameters as never[],
    { prepare: true },
  )) as unknown as ExtensionRow[];
  return {
    ...createConnection<ExtensionRow>(list, page, rows, (row) => [row.createdAt, row.id]),
    async count() {
      const counted = build();
      const [row] = (await sql.unsafe(
        `SELECT count(*)::int AS n FROM extension.extension e WHERE ${counted.where.join(' AND ')}`,
        counted.parameters as never[],
        { prepare: true },
      )) as unknown as { n: number }[];
      return row!.n;
    },
  };
}

const executionFilterShape = z.object({
  extensionId: id,
  capabilityId: id.nullish(),
  method: text({ min: 1, max: 100 }).nullish(),
  status: words,
  caller: text({ min: 1, max: 255 }).nullish(),
});

export type ExecutionFilterInput = z.output<typeof executionFilterShape>;
export const readExecutionFilter = (raw: unknown): ExecutionFilterInput =>
  parseInput(executionFilterShape, raw, ['filter']);

const executionSort = [
  { column: 'x.created_at', type: 'timestamptz', keyOf: (row: ExtensionExecutionRow) => row.createdAt },
  { column: 'x.id', type: 'uuid', keyOf: (row: ExtensionExecutionRow) => row.id },
] as const;

/** Calls of an extension's methods, newest first; whoever sees the extension sees them. */
export function executionsBelow(
  tenantId: string,
  filter: Omit<ExecutionFilterInput, 'extensionId'>,
): ChildList<ExtensionExecutionRow> {
  return {
    list: 'extension executions',
    columns: executionColumns,
    from: () => 'extension.execution x',
    parent: { type: 'uuid', condition: 'x.extension_id = k.parent' },
    sort: executionSort,
    descending: true,
    conditions(parameters) {
      const param = (value: unknown) => `$${parameters.push(value)}`;
      return [
        `x.tenant_id = ${param(tenantId)}`,
        ...(filter.capabilityId == null ? [] : [`x.capability_id = ${param(filter.capabilityId)}::uuid`]),
        ...(filter.method == null ? [] : [`x.method = ${param(filter.method)}`]),
        ...(filter.caller == null ? [] : [`x.caller = ${param(filter.caller)}`]),
        ...(filter.status == null ? [] : [`x.status = ANY(${param(filter.status)}::text[])`]),
      ];
    },
  };
}

export const noExecutions: ExtensionExecutionConnectionRow = {
  edges: [],
  nodes: [],
  pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null },
  count: async () => 0,
};
