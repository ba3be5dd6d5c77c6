import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { requireVisible, unknownNetwork, viewerOf, visibleCondition } from './access.ts';
import type { Heartbeats } from './heartbeats.ts';
import { suspicionOf } from './heartbeats.ts';
import { findNetworks, read } from './store.ts';
import { holdsClause } from './waiting.ts';

export type HealthLevel = 'HEALTHY' | 'DEGRADED' | 'UNHEALTHY' | 'CRITICAL';

export interface HealthFacts {
  readonly status: string;
  readonly nodesUp: number;
  readonly nodesDown: number;
  readonly requiredDown: number;
  readonly linksUp: number;
  readonly linksDown: number;
  readonly connectionsOpen: number;
  readonly connectionsDegraded: number;
  readonly connectionsLost: number;
  readonly maxUtilization: number;
  readonly hotSpotUtilization: number;
  /** Of the network's total; null where that is not bounded. */
  readonly totalUtilization: number | null;
  readonly openCircuits: readonly string[];
}

interface Component {
  readonly name: string;
  readonly level: HealthLevel;
  readonly detail: string;
}

const ranks: readonly HealthLevel[] = ['HEALTHY', 'DEGRADED', 'UNHEALTHY', 'CRITICAL'];

function levelOver(value: number, bounds: readonly [number, number, number]): HealthLevel {
  return ranks[bounds.filter((bound) => value > bound).length]!;
}

/** Judges each part; the whole is as well as its worst part. */
export function judgeHealth(facts: HealthFacts): { readonly overall: HealthLevel; readonly components: Component[] } {
  const nodes = facts.nodesUp + facts.nodesDown;
  const links = facts.linksUp + facts.linksDown;
  const share = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
  const components: Component[] = [
    {
      name: 'status',
      level:
        facts.status === 'active' || facts.status === 'draft'
          ? 'HEALTHY'
          : facts.status === 'degraded'
            ? 'UNHEALTHY'
            : 'DEGRADED',
      detail: `the network is ${facts.status.toUpperCase()}`,
    },
    {
      name: 'nodes',
      level: facts.requiredDown > 0 ? 'CRITICAL' : levelOver(share(facts.nodesDown, nodes), [0, 0.1, 0.3]),
      detail: `${facts.nodesDown} of ${nodes} nodes are down, ${facts.requiredDown} of them required`,
    },
    {
      name: 'links',
      level: levelOver(share(facts.linksDown, links), [0, 0.1, 0.3]),
      detail: `${facts.linksDown} of ${links} links are down`,
    },
    {
      name: 'connections',
      level: levelOver(
        share(facts.connectionsDegraded + facts.connectionsLost, facts.connectionsOpen + facts.connectionsLost),
        [0, 0.1, 0.3],
      ),
      detail: `${facts.connectionsDegraded} of ${facts.connectionsOpen} are degraded, ${facts.connectionsLost} were lost in the last hour`,
    },
    {
      name: 'load',
      level: levelOver(Math.max(facts.maxUtilization, facts.totalUtilization ?? 0), [
        facts.hotSpotUtilization,
        0.95,
        1,
      ]),
      detail: `the fullest link is reserved to ${Math.round(facts.maxUtilization * 100)} %${
        facts.totalUtilization === null ? '' : `, the total to ${Math.round(facts.totalUtilization * 100)} %`
      }`,
    },
  ];
  if (facts.openCircuits.length > 0)
    components.push({
      name: 'circuits',
      level: levelOver(share(facts.openCircuits.length, nodes), [0, 0.1, 0.3]),
      detail: `${facts.openCircuits.length} of ${nodes} nodes get no new connections`,
    });
  const worst = Math.max(...components.map(({ level }) => ranks.indexOf(level)));
  return { overall: ranks[worst]!, components };
}

export function createHealth({ sql }: ModuleRuntime, heartbeats: Heartbeats) {
  return {
    /** @throws {NOT_FOUND} */
    async health(scope: RequestScope, networkId: string) {
      // What holds at this moment is kept for nobody.
      scope.readTags.add(subjectBoundTag);
      const { tenantId } = scope.principal;
      const [network] = await findNetworks(sql, tenantId, [networkId]);
      if (!network) throw unknownNetwork();
      await requireVisible(sql, scope.principal, networkId);
      const [[facts], watched] = await Promise.all([
        read<Omit<HealthFacts, 'status' | 'hotSpotUtilization'>>(
          sql,
          `WITH d AS (SELECT id, required, status, status IN ('active', 'degraded') AS up FROM network.node WHERE tenant_id = $1 AND network_id = $2 AND status <> 'retired')
           SELECT d.*, l.*, c.*, k.* FROM
             (SELECT count(*) FILTER (WHERE up)::int AS "nodesUp", count(*) FILTER (WHERE NOT up)::int AS "nodesDown",
                count(*) FILTER (WHERE required AND NOT up)::int AS "requiredDown" FROM d) d,
             (SELECT count(*) FILTER (WHERE k.up)::int AS "linksUp", count(*) FILTER (WHERE NOT k.up)::int AS "linksDown", coalesce(max(k.used), 0)::float8 AS "maxUtilization" FROM
                (SELECT (l.status = 'active' AND EXISTS (SELECT 1 FROM d WHERE d.id = l.source_id AND d.up) AND EXISTS (SELECT 1 FROM d WHERE d.id = l.target_id AND d.up)) AS up,
                   CASE WHEN l.capacity_kbps > 0 THEN (l.reserved_real_time + l.reserved_interactive + l.reserved_bulk + l.reserved_management)::float8 / l.capacity_kbps END AS used
                 FROM network.link l WHERE l.tenant_id = $1 AND l.network_id = $2) k) l,
             (SELECT count(*) FILTER (WHERE ${holdsClause})::int AS "connectionsOpen",
                count(*) FILTER (WHERE c.closed_at IS NULL AND c.status = 'degraded')::int AS "connectionsDegraded",
                count(*) FILTER (WHERE c.status = 'failed' AND c.closed_at > now() - interval '1 hour')::int AS "connectionsLost"
              FROM network.connection c WHERE c.tenant_id = $1 AND c.network_id = $2) c,
             (SELECT (SELECT (b.reserved_real_time + b.reserved_interactive + b.reserved_bulk + b.reserved_management)::float8 / b.total_kbps
                FROM network.bandwidth b WHERE b.tenant_id = $1 AND b.network_id = $2) AS "totalUtilization",
              (SELECT coalesce(array_agg(i.node_id ORDER BY i.node_id), '{}') FROM network.circuit i WHERE i.tenant_id = $1 AND i.network_id = $2
                AND i.opened_at IS NOT NULL AND (i.retry_at > clock_timestamp() OR i.trial_until > clock_timestamp())) AS "openCircuits") k`,
          [tenantId, networkId],
        ),
        heartbeats.watched(tenantId, networkId),
      ]);
      const all: HealthFacts = {
        ...facts!,
        status: network.status,
        hotSpotUtilization: network.config.hotSpotUtilization,
      };
      return {
        networkId,
        ...judgeHealth(all),
        ...facts!,
        openCircuits: [...facts!.openCircuits],
        suspicions: watched
          .map((node) => ({
            nodeId: node.nodeId,
            phi: Math.min(suspicionOf(node), 1_000),
            silenceMs: node.silenceMs,
          }))
          .sort((a, b) => b.phi - a.phi)
          .slice(0, 20),
        checkedAt: new Date(),
      };
    },

    /** Counts over the networks that the caller sees. */
    async statistics(scope: RequestScope, contextId: string | null) {
      scope.readTags.add(subjectBoundTag);
      const viewer = viewerOf(scope.principal);
      const [row] = await read<{
        networks: number;
        active: number;
        nodes: number;
        links: number;
        openConnections: number;
        services: number;
      }>(
        sql,
        `WITH seen AS MATERIALIZED (SELECT n.tenant_id, n.id, n.context_id, n.status, n.stats FROM network.network n WHERE n.tenant_id = $1 AND ($2::uuid IS NULL OR n.context_id = $2::uuid)
           AND n.status <> 'retired' AND ($3::text[] IS NULL OR ${visibleCondition('n', '$3')}))
         SELECT count(*)::int AS networks, count(*) FILTER (WHERE status = 'active')::int AS active,
           coalesce(sum((stats->>'nodeCount')::int), 0)::int AS nodes, coalesce(sum((stats->>'linkCount')::int), 0)::int AS links,
           (SELECT count(*)::int FROM network.connection c JOIN seen s ON s.tenant_id = c.tenant_id AND s.id = c.network_id WHERE ${holdsClause}) AS "openConnections",
           (SELECT count(*)::int FROM network.service v JOIN seen s ON s.tenant_id = v.tenant_id AND s.id = v.network_id WHERE v.expires_at IS NULL OR v.expires_at > now()) AS services
         FROM seen`,
        [scope.principal.tenantId, contextId, viewer],
      );
      return row!;
    },
  };
}
