import { LRUCache } from 'lru-cache';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { type CompiledWorkflow, compileWorkflow } from './compile.ts';
import type { WorkflowDefinition } from './definition.ts';
import type { Operations } from './operations.ts';

export interface DefinitionKey {
  readonly tenantId: string;
  readonly workflowId: string;
  readonly workflowVersion: number;
  readonly body: readonly string[];
}

/** Versions never change: what was compiled once is kept, 500 of them. */
export interface Definitions {
  compiled(tx: Sql | SqlTransaction, key: DefinitionKey): Promise<CompiledWorkflow>;
  /** Latest versions of workflows of a tenant, by id. */
  latest(
    tx: Sql | SqlTransaction,
    tenantId: string,
    workflowIds: readonly string[],
  ): Promise<ReadonlyMap<string, number>>;
}

export function createDefinitions(operations: Operations): Definitions {
  const kept = new LRUCache<string, CompiledWorkflow>({ max: 500 });
  return {
    async compiled(tx, { tenantId, workflowId, workflowVersion, body }) {
      const key = JSON.stringify([tenantId, workflowId, workflowVersion, body]);
      const known = kept.get(key);
      if (known) return known;
      const [row] = (await tx.unsafe(
        'SELECT definition FROM core.workflow_version WHERE tenant_id = $1 AND workflow_id = $2 AND version = $3',
        [tenantId, workflowId, workflowVersion],
        { prepare: true },
      )) as unknown as { definition: WorkflowDefinition }[];
      if (!row) throw new Error(`workflow ${workflowId} has no version ${workflowVersion}`);
      const compiled = compileWorkflow(row.definition, body, operations);
      kept.set(key, compiled);
      return compiled;
    },
    async latest(tx, tenantId, workflowIds) {
      if (workflowIds.length === 0) return new Map();
      const rows = (await tx.unsafe(
        `SELECT id, latest_version AS version FROM core.workflow WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND status = 'active'`,
        [tenantId, workflowIds as string[]],
        { prepare: true },
      )) as unknown as { id: string; version: number }[];
      return new Map(rows.map(({ id, version }) => [id, version]));
    },
  };
}
