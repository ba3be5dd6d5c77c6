import { readChildPage } from '#shared/childPages.ts';
import { type Connection, createConnection, type PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { isoText } from '#shared/record.ts';
import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { noteListAccess, viewerOf, visibleCondition } from '../access.ts';
import * as inputs from './inputs.ts';
import type { ChosenAction, NotChosen } from './rules.ts';

/** A decision that was made, and why. */
export interface DecisionRow {
  readonly tenantId: string;
  readonly id: string;
  readonly contextId: string | null;
  readonly eventType: string;
  /** Of an event that triggered it by itself. */
  readonly eventId: string | null;
  readonly depth: number;
  readonly actions: readonly ChosenAction[];
  readonly deferred: readonly NotChosen[];
  readonly rejected: readonly NotChosen[];
  readonly latencyMs: number;
  readonly executionId: string | null;
  readonly createdAt: string;
  readonly createdBy: string;
}

const list = 'orchestrationDecisions';
const columns = `d.tenant_id AS "tenantId", d.id, d.context_id AS "contextId", d.trigger->>'eventType' AS "eventType", d.trigger->>'eventId' AS "eventId", COALESCE((d.trigger->>'depth')::int, 0) AS depth, d.actions, d.deferred, d.rejected,
  d.latency_ms AS "latencyMs", d.execution_id AS "executionId", ${isoText('d.created_at')} AS "createdAt", d.created_by AS "createdBy"`;

export async function findDecisions(sql: Sql, tenantId: string, ids: readonly string[]): Promise<DecisionRow[]> {
  return (await sql.unsafe(
    `SELECT ${columns} FROM core.decision d WHERE d.tenant_id = $1 AND d.id = ANY($2::uuid[])`,
    [tenantId, ids as string[]],
    { prepare: true },
  )) as unknown as DecisionRow[];
}

/** Decisions of a tenant that the caller may see, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listDecisions(
  sql: Sql,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  rawFilter: unknown,
  input: PageInput,
): Promise<Connection<DecisionRow>> {
  const filter = parseInput(inputs.decisionFilter, rawFilter ?? {}, ['filter']);
  const page = readChildPage({ list, sort: [{ type: 'timestamptz' }, { type: 'uuid' }] }, input);
  const parameters: unknown[] = [scope.principal.tenantId];
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const where = ['d.tenant_id = $1'];
  const viewer = viewerOf(scope.principal);
  if (viewer !== null) where.push(visibleCondition('d', bind(viewer)));
  if (filter.contextId != null) where.push(`d.context_id = ${bind(filter.contextId)}::uuid`);
  if (filter.eventType != null) where.push(`d.trigger->>'eventType' = ${bind(filter.eventType)}`);
  if (filter.ruleId != null)
    where.push(`d.actions @> ${bind(JSON.stringify([{ ruleId: filter.ruleId }]))}::text::jsonb`);
  const backward = page.direction === 'backward';
  if (page.from !== null) {
    const [at, id] = page.from;
    where.push(`(d.created_at, d.id) ${backward ? '>' : '<'} (${bind(at)}::text::timestamptz, ${bind(id)}::uuid)`);
  }
  const order = backward ? 'ASC' : 'DESC';
  const noted = noteListAccess(sql, scope);
  const rows = (await sql.unsafe(
    `SELECT ${columns} FROM core.decision d WHERE ${where.join(' AND ')} ORDER BY d.created_at ${order}, d.id ${order} LIMIT ${bind(page.limit + 1)}`,
    parameters as never[],
    { prepare: true },
  )) as unknown as DecisionRow[];
  await noted;
  return createConnection(list, page, rows, (row) => [row.createdAt, row.id]);
}
