import { createBatcher } from '#shared/batch.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { AgentStatus } from './rows.ts';

export interface Beat {
  readonly tenantId: string;
  readonly agentId: string;
  readonly load: number | null;
  readonly activeTasks: number | null;
}

interface Written {
  readonly ord: number;
  readonly status: AgentStatus;
}

/**
 * Signs of life, many in one statement, without event or audit: what is answered is the status the agent has in the registry;
 * null where it is not in it. Of several of one agent each figure is the last one that was said.
 */
export function createBeats({ sql, config }: Pick<ModuleRuntime, 'sql' | 'config'>) {
  return createBatcher<Beat, AgentStatus | null>({
    maxItems: Math.max(config.BATCH_MAX_ITEMS, 200),
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    async run(beats) {
      const rows = (await sql.unsafe(
        `WITH beats AS (
           SELECT * FROM json_to_recordset($1::text::json) AS b(ord int, tenant_id text, agent_id text, load float8, active_tasks int)
         ), newest AS (
           SELECT tenant_id, agent_id, (array_agg(load ORDER BY ord DESC) FILTER (WHERE load IS NOT NULL))[1] AS load,
             (array_agg(active_tasks ORDER BY ord DESC) FILTER (WHERE active_tasks IS NOT NULL))[1] AS active_tasks
           FROM beats GROUP BY tenant_id, agent_id
         ), locked AS (
           SELECT a.tenant_id, a.agent_id FROM core.agent a JOIN newest USING (tenant_id, agent_id) ORDER BY 1, 2 FOR UPDATE OF a
         ), written AS (
           UPDATE core.agent a SET last_seen_at = clock_timestamp(), expires_at = clock_timestamp() + a.ttl_ms * interval '1 ms',
             load = coalesce(n.load, a.load), active_tasks = coalesce(n.active_tasks, a.active_tasks)
           FROM newest n JOIN locked USING (tenant_id, agent_id) WHERE a.tenant_id = n.tenant_id AND a.agent_id = n.agent_id
           RETURNING a.tenant_id, a.agent_id, a.status
         )
         SELECT b.ord, w.status FROM beats b JOIN written w USING (tenant_id, agent_id)`,
        [
          JSON.stringify(
            beats.map(({ tenantId, agentId, load, activeTasks }, ord) => ({
              ...{ ord, tenant_id: tenantId, agent_id: agentId, load, active_tasks: activeTasks },
            })),
          ),
        ],
        { prepare: true },
      )) as unknown as Written[];
      const known = new Map(rows.map(({ ord, status }) => [ord, status]));
      return beats.map((_beat, ord) => known.get(ord) ?? null);
    },
  });
}
