import { createHash } from 'node:crypto';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { type CallOptions, toIdempotentCall } from '../commands.ts';
import type { Contexts } from '../contexts.ts';
import * as inputs from '../inputs.ts';
import { executionConditions } from './lists.ts';
import type { Transitions } from './transitions.ts';

/** Executions that one call changes at most. */
export const maxBulk = 10_000;
const chunk = 200;

export interface BulkResult {
  readonly matched: number;
  readonly changed: number;
  readonly refused: readonly { readonly executionId: string; readonly code: string; readonly message: string }[];
  readonly dryRun: boolean;
}

const openFor = {
  PAUSE: ['in_progress'],
  RESUME: ['paused'],
  CANCEL: ['created', 'in_progress', 'paused'],
  COMPENSATE: ['completed', 'failed', 'cancelled', 'timed_out'],
} as const;

/** One action on all executions that a filter finds, or only how many that would be. */
export function createBulk(
  { sql }: Pick<ModuleRuntime, 'sql'>,
  { contexts, transitions }: { readonly contexts: Contexts; readonly transitions: Transitions },
) {
  return async (scope: RequestScope, raw: unknown, { idempotencyKey }: CallOptions): Promise<BulkResult> => {
    const { filter, action, dryRun, reason } = parseInput(inputs.bulk, raw);
    const { tenantId, subject } = scope.principal;
    const parameters: unknown[] = [];
    const where = executionConditions(scope.principal, filter, parameters);
    where.push(`e.status = ANY($${parameters.push(openFor[action])}::text[])`);
    const rows = (await sql.unsafe(
      `SELECT e.id, e.context_id AS "contextId" FROM core.execution e WHERE ${where.join(' AND ')} ORDER BY e.created_at, e.id LIMIT ${maxBulk + 1}`,
      parameters as never[],
    )) as unknown as { id: string; contextId: string | null }[];
    if (rows.length > maxBulk)
      throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxBulk} executions, the filter finds more`, {
        path: ['input', 'filter'],
      });
    if (dryRun) return { matched: rows.length, changed: 0, refused: [], dryRun };
    const refused: { executionId: string; code: string; message: string }[] = [];
    let changed = 0;
    for (let from = 0; from < rows.length; from += chunk) {
      await Promise.all(
        rows.slice(from, from + chunk).map(async ({ id, contextId }) => {
          const key = idempotencyKey == null ? null : hashed(idempotencyKey, id);
          try {
            if (action === 'RESUME' && contextId !== null)
              await contexts.requireActive(scope.principal, contextId, ['input', 'filter']);
            await transitions.send(
              { tenantId, executionId: id },
              { kind: action.toLowerCase() as 'pause', reason: reason ?? null },
              {
                subject,
                scope,
                audit: {
                  action: `workflow.${action.toLowerCase()}`,
                  resource: 'CoreWorkflowExecution',
                  resourceId: id,
                  detail: { bulk: true },
                },
                idempotent: toIdempotentCall(scope, {
                  operation: 'bulkChangeWorkflows',
                  input: { id, action },
                  idempotencyKey: key,
                }),
              },
            );
            changed += 1;
          } catch (error) {
            if (!(error instanceof PlatformError)) throw error;
            refused.push({ executionId: id, code: error.code, message: error.message });
          }
        }),
      );
    }
    return { matched: rows.length, changed, refused: refused.slice(0, 100), dryRun };
  };
}

const hashed = (key: string, id: string) => createHash('sha256').update(`${key}/${id}`).digest('hex');
