import { createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { requireVisible } from './access.ts';
import type { Circuits } from './circuits.ts';
import { phi, windowSize } from './detection/phi.ts';
import type { Edits } from './edits.ts';
import { unknownNode } from './events.ts';
import type { NodeFailover, NodeStatusValue } from './rows.ts';
import { read } from './store.ts';

interface Beat {
  readonly tenantId: string;
  readonly networkId: string;
  readonly nodeId: string;
  readonly load: number | null;
}

interface Written {
  readonly ord: number;
  readonly at: string;
  readonly status: NodeStatusValue;
}

export interface WatchedNode {
  readonly tenantId: string;
  readonly networkId: string;
  readonly nodeId: string;
  readonly status: NodeStatusValue;
  readonly silenceMs: number;
  readonly intervalsMs: readonly number[];
  readonly failover: NodeFailover | null;
  readonly phiThreshold: number;
}

export const defaultFailover = { heartbeatIntervalMs: 1_000, timeoutMs: 5_000 } as const;
const watchedColumns = `h.tenant_id AS "tenantId", h.network_id AS "networkId", h.node_id AS "nodeId", d.status,
  (extract(epoch FROM clock_timestamp() - h.last_at) * 1000)::float8 AS "silenceMs", h.intervals_ms AS "intervalsMs", d.failover,
  (n.config->>'phiThreshold')::float8 AS "phiThreshold"`;
const watchedTables = `network.heartbeat h JOIN network.node d ON d.tenant_id = h.tenant_id AND d.network_id = h.network_id AND d.id = h.node_id
  JOIN network.network n ON n.tenant_id = h.tenant_id AND n.id = h.network_id`;

export function suspicionOf({ silenceMs, intervalsMs, failover }: WatchedNode): number {
  return phi(silenceMs, { intervalsMs, expectedMs: (failover ?? defaultFailover).heartbeatIntervalMs });
}

/** Gone by its own rhythm, or silent for longer than anyone waits. */
export function isGone(node: WatchedNode): boolean {
  return node.silenceMs > (node.failover ?? defaultFailover).timeoutMs || suspicionOf(node) > node.phiThreshold;
}

export type Heartbeats = ReturnType<typeof createHeartbeats>;

/** Signs of life and what their absence means. The database's clock counts, so that instances agree. */
export function createHeartbeats({ sql, config, logger }: ModuleRuntime, edits: Edits, circuits: Circuits) {
  const batcher = createBatcher<Beat, Written | null>({
    maxItems: Math.max(config.BATCH_MAX_ITEMS, 200),
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    async run(beats) {
      const rows = await read<Written>(
        sql,
        `WITH beats AS (
           SELECT tenant_id, network_id, node_id, max(ord) AS ord, (array_agg(load ORDER BY ord DESC) FILTER (WHERE load IS NOT NULL))[1] AS load
           FROM json_to_recordset($1::text::json) AS b(ord int, tenant_id text, network_id uuid, node_id uuid, load float8) GROUP BY 1, 2, 3
         ), known AS (
           SELECT b.*, d.status FROM beats b JOIN network.node d ON d.tenant_id = b.tenant_id AND d.network_id = b.network_id AND d.id = b.node_id
         ), written AS (
           INSERT INTO network.heartbeat AS h (tenant_id, network_id, node_id, last_at, intervals_ms, load)
           SELECT tenant_id, network_id, node_id, clock_timestamp(), '{}', load FROM known ORDER BY 1, 2, 3
           ON CONFLICT (tenant_id, network_id, node_id) DO UPDATE SET
             intervals_ms = CASE WHEN EXCLUDED.last_at > h.last_at
               THEN ((extract(epoch FROM EXCLUDED.last_at - h.last_at) * 1000)::float8 || h.intervals_ms)[1:${windowSize}] ELSE h.intervals_ms END,
             last_at = greatest(EXCLUDED.last_at, h.last_at), load = coalesce(EXCLUDED.load, h.load)
           RETURNING h.tenant_id, h.network_id, h.node_id, h.last_at
         )
         SELECT k.ord, to_char(w.last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at, k.status
         FROM written w JOIN known k USING (tenant_id, network_id, node_id)`,
        [
          JSON.stringify(
            beats.map(({ tenantId, networkId, nodeId, load }, ord) => ({
              ...{ ord, tenant_id: tenantId, network_id: networkId, node_id: nodeId, load },
            })),
          ),
        ],
      );
      const keyOf = ({ tenantId, networkId, nodeId }: Beat) => `${tenantId}/${networkId}/${nodeId}`;
      // Two of one node in a batch are one sign of life.
      const found = new Map(rows.map((row) => [keyOf(beats[row.ord]!), row]));
      return beats.map((beat) => found.get(keyOf(beat)) ?? null);
    },
  });

  /** A node that is heard again is up again; its silence was no rhythm. */
  async function revive(tenantId: string, networkId: string, nodeId: string): Promise<void> {
    await edits.editAs(tenantId, networkId, async ({ nodes }, _network, tx) => {
      const node = nodes.find(({ id }) => id === nodeId);
      if (node?.status !== 'unreachable') return null;
      await tx.unsafe(
        `UPDATE network.heartbeat SET intervals_ms = intervals_ms[2:] WHERE tenant_id = $1 AND network_id = $2 AND node_id = $3`,
        [tenantId, networkId, nodeId],
        { prepare: true },
      );
      return {
        nodes: nodes.map((one) => (one === node ? { ...one, status: 'active' as const } : one)),
        type: 'node.status.changed',
        detail: { nodeId, nodeStatus: ['unreachable', 'active'], reason: 'it is heard again' },
        response: null,
      };
    });
  }

  /** Nodes of a network that still count as gone, by what its heartbeats say under the network's lock. */
  async function findGone(db: SqlTransaction, tenantId: string, networkId: string): Promise<readonly WatchedNode[]> {
    const rows = await read<WatchedNode>(
      db,
      `SELECT ${watchedColumns} FROM ${watchedTables} WHERE h.tenant_id = $1 AND h.network_id = $2 AND d.status IN ('active', 'degraded')`,
      [tenantId, networkId],
    );
    return rows.filter(isGone);
  }

  return {
    drain: () => batcher.drain(),

    /** @throws {NOT_FOUND} {VALIDATION_FAILED} {INVALID_STATE} for a node that is retired. */
    async beat(
      scope: RequestScope,
      {
        networkId,
        nodeId,
        load,
      }: { readonly networkId: string; readonly nodeId: string; readonly load: number | null },
    ): Promise<string> {
      if (load !== null && !(load >= 0 && load <= 1))
        throw new PlatformError('VALIDATION_FAILED', `load: expected 0 to 1, got ${load}`, { path: ['load'] });
      if (!isId(networkId) || !isId(nodeId)) throw unknownNode();
      await requireVisible(sql, scope.principal, networkId);
      const { tenantId } = scope.principal;
      const written = await batcher.add({ tenantId, networkId, nodeId, load });
      if (!written) throw unknownNode();
      if (written.status === 'retired')
        throw new PlatformError('INVALID_STATE', 'the node is RETIRED', { path: ['nodeId'] });
      if (written.status === 'unreachable') await revive(tenantId, networkId, nodeId);
      return written.at;
    },

    /** Watched nodes of a network with how long they have been silent. */
    watched: (tenantId: string, networkId: string): Promise<WatchedNode[]> =>
      read<WatchedNode>(
        sql,
        `SELECT ${watchedColumns} FROM ${watchedTables} WHERE h.tenant_id = $1 AND h.network_id = $2 AND d.status NOT IN ('retired', 'inactive')`,
        [tenantId, networkId],
      ),

    /** Looks at all watched nodes and gives up those that are gone; answers how many. */
    async sweep(): Promise<number> {
      const rows = await read<WatchedNode>(
        sql,
        `SELECT ${watchedColumns} FROM ${watchedTables}
         WHERE h.last_at < clock_timestamp() - interval '100 milliseconds' AND d.status IN ('active', 'degraded') AND n.status <> 'retired'`,
        [],
      );
      const networks = Map.groupBy(rows.filter(isGone), ({ tenantId, networkId }) => `${tenantId}/${networkId}`);
      let given = 0;
      for (const [first] of networks.values()) {
        const { tenantId, networkId } = first!;
        const fallen: string[] = [];
        try {
          await edits.editAs(tenantId, networkId, async ({ nodes }, _network, tx) => {
            // Another instance may have been first, or a heartbeat may have come.
            const gone = new Map((await findGone(tx, tenantId, networkId)).map((node) => [node.nodeId, node]));
            if (gone.size === 0) return null;
            fallen.splice(0, Infinity, ...gone.keys());
            return {
              nodes: nodes.map((node) => (gone.has(node.id) ? { ...node, status: 'unreachable' as const } : node)),
              type: 'node.status.changed',
              detail: {
                nodeId: [...gone.keys()][0],
                nodeIds: [...gone.keys()],
                nodeStatus: ['active', 'unreachable'],
                silenceMs: Math.round(Math.max(...[...gone.values()].map(({ silenceMs }) => silenceMs))),
                reason: 'no heartbeat',
              },
              response: null,
            };
          });
        } catch (error) {
          logger.warn(
            { networkId, error: String(error) },
            'nodes that are gone could not be given up; the next sweep tries again',
          );
          continue;
        }
        given += fallen.length;
        // Who comes and goes is kept from what is new as one who fails is.
        for (const nodeId of fallen)
          await circuits.observe({ tenantId, networkId, nodeId }, { succeeded: 0, failed: 1, reason: 'no heartbeat' });
      }
      return given;
    },
  };
}
