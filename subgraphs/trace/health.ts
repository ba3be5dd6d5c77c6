import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { type SubgraphName, subgraphNames } from '../names.ts';
import { viewerOf, visibleCondition } from './access.ts';
import { keeper } from './keeper.ts';
import { timeoutHours } from './upkeep.ts';

export type HealthLevel = 'HEALTHY' | 'DEGRADED' | 'UNHEALTHY' | 'CRITICAL';

export interface HealthComponent {
  readonly name: string;
  readonly level: HealthLevel;
  readonly detail: string;
}

/** What the databases say at one moment, of the traces and alerts that the caller may see. */
export interface HealthFacts {
  readonly databaseMs: number;
  /** Of a follower of a module: seconds since the oldest event that it has not read; null of a module out of reach. */
  readonly followers: readonly { readonly name: string; readonly behindSeconds: number | null }[];
  /** Traces that should have been failed by their timeout minutes ago. */
  readonly overdue: number;
  /** Traces that ended in the last hour. */
  readonly ended: number;
  readonly failed: number;
  readonly openAlerts: number;
  readonly graveAlerts: number;
}

const ranks: readonly HealthLevel[] = ['HEALTHY', 'DEGRADED', 'UNHEALTHY', 'CRITICAL'];
/** Fewer ended traces say nothing of a share of failures. */
const minEnded = 10;
/** Upkeep looks once a minute: what is past its timeout for so long was overlooked. */
const graceMinutes = 10;

/** The highest of the levels whose bound the value is over. */
function levelOver(value: number, bounds: readonly [number, number, number]): HealthLevel {
  return ranks[bounds.filter((bound) => value > bound).length]!;
}

/** Judges each component; the whole is as well as its worst part. */
export function judgeHealth(facts: HealthFacts): { overall: HealthLevel; components: HealthComponent[] } {
  const components: HealthComponent[] = [
    {
      name: 'database',
      level: levelOver(facts.databaseMs, [100, 1_000, 5_000]),
      detail: facts.databaseMs > 100 ? `answers within ${Math.ceil(facts.databaseMs)} ms` : 'answers within 100 ms',
    },
    ...facts.followers.map(({ name, behindSeconds }): HealthComponent => {
      if (behindSeconds === null) return { name, level: 'UNHEALTHY', detail: 'its module is out of reach' };
      const detail = behindSeconds > 5 ? `${Math.ceil(behindSeconds)} s behind` : 'less than 5 s behind';
      return { name, level: levelOver(behindSeconds, [5, 60, 600]), detail };
    }),
    {
      name: 'upkeep',
      level: facts.overdue > 0 ? 'DEGRADED' : 'HEALTHY',
      detail: `${facts.overdue} traces past their timeout`,
    },
    {
      name: 'failures',
      level: facts.ended < minEnded ? 'HEALTHY' : levelOver(facts.failed / facts.ended, [0.05, 0.2, 0.5]),
      detail: `${facts.failed} of ${facts.ended} traces that ended in the last hour failed`,
    },
    {
      name: 'alerts',
      level: facts.graveAlerts > 0 ? 'UNHEALTHY' : facts.openAlerts > 0 ? 'DEGRADED' : 'HEALTHY',
      detail: `${facts.openAlerts} open, ${facts.graveAlerts} of them high or critical and with nobody`,
    },
  ];
  const worst = Math.max(...components.map(({ level }) => ranks.indexOf(level)));
  return { overall: ranks[worst]!, components };
}

/** How the module does, and what it sees, for the caller's tenant. */
export function createHealth({ sql, sqlOf }: ModuleRuntime) {
  async function followersOf(module: SubgraphName): Promise<HealthFacts['followers']> {
    try {
      const rows = (await sqlOf(module).unsafe(
        `SELECT o.consumer AS name, coalesce(extract(epoch FROM now() - (SELECT e.created_at FROM ${module}.event e WHERE e.position > o.position
           ORDER BY e.position LIMIT 1)), 0)::float8 AS "behindSeconds" FROM ${module}.consumer_offset o WHERE o.consumer LIKE 'trace.%'`,
        [],
        { prepare: true },
      )) as unknown as { name: string; behindSeconds: number }[];
      return rows.map(({ name, behindSeconds }) => ({ name: `${name} of ${module}`, behindSeconds }));
    } catch {
      return [{ name: `followers of ${module}`, behindSeconds: null }];
    }
  }

  return async (scope: RequestScope) => {
    // What holds at this moment is kept for nobody.
    scope.readTags.add(subjectBoundTag);
    const { tenantId } = scope.principal;
    const startedAt = performance.now();
    const [[own], followers] = await Promise.all([
      sql.unsafe(
        `SELECT t.*, a.* FROM
           (SELECT count(*) FILTER (WHERE t.finished_at > now() - interval '1 hour')::int AS ended,
              count(*) FILTER (WHERE t.finished_at > now() - interval '1 hour' AND t.status = 'failed')::int AS failed,
              count(*) FILTER (WHERE t.finished_at IS NULL AND t.created_at < now() - $4 * interval '1 minute' AND t.created_by <> $3)::int AS overdue
            FROM trace.trace t WHERE t.tenant_id = $1 AND t.created_at > now() - interval '7 days'
              AND ($2::text[] IS NULL OR ${visibleCondition('t', '$2')})) t,
           (SELECT count(*)::int AS "openAlerts",
              count(*) FILTER (WHERE a.severity IN ('HIGH', 'CRITICAL') AND a.acknowledged_at IS NULL)::int AS "graveAlerts"
            FROM trace.alert a WHERE a.tenant_id = $1 AND a.resolved_at IS NULL AND ($2::text[] IS NULL OR ${visibleCondition('a', '$2')})) a`,
        [tenantId, viewerOf(scope.principal), keeper, timeoutHours * 60 + graceMinutes],
        { prepare: true },
      ) as unknown as Promise<Omit<HealthFacts, 'databaseMs' | 'followers'>[]>,
      Promise.all(subgraphNames.map(followersOf)),
    ]);
    const databaseMs = performance.now() - startedAt;
    const facts: HealthFacts = { ...own!, databaseMs, followers: followers.flat() };
    return { ...judgeHealth(facts), ...own!, checkedAt: new Date() };
  };
}
