import type { ModuleRuntime } from '#shared/subgraph.ts';
import { findPlansAtWork, type PlansAtWork } from './plansAtWork.ts';
import type { ContextRow } from './rows.ts';

export type HealthLevel = 'HEALTHY' | 'DEGRADED' | 'UNHEALTHY' | 'CRITICAL';

export interface HealthComponent {
  readonly name: string;
  readonly level: HealthLevel;
  readonly detail: string;
}

export interface ContextHealthValue {
  readonly contextId: string;
  readonly overall: HealthLevel;
  readonly components: HealthComponent[];
  readonly participantUtilisation: number;
  readonly sessionUtilisation: number;
  readonly lifetimeUtilisation: number | null;
  readonly eventsLastHour: number;
  readonly performance: ContextPerformanceValue | null;
  readonly issues: string[];
  readonly recommendations: string[];
  readonly checkedAt: string;
}

export interface ContextPerformanceValue extends PlansAtWork {
  /** Of the steps that ended within the last hour; 0 without any. */
  readonly failureShare: number;
}

/** What the database says of a context at one moment. */
export interface HealthFacts {
  readonly active: number;
  readonly idle: number;
  readonly other: number;
  readonly openSessions: number;
  /** Ended as failed within the last day. */
  readonly failedSessions: number;
  readonly endedSessions: number;
  /** Open beyond their maximum duration, or not yet started after ten minutes. */
  readonly stuckSessions: number;
  readonly eventsLastHour: number;
  /** Null where nobody could tell. */
  readonly plans: PlansAtWork | null;
}

const ranks: readonly HealthLevel[] = ['HEALTHY', 'DEGRADED', 'UNHEALTHY', 'CRITICAL'];

export function createHealth(runtime: Pick<ModuleRuntime, 'sql' | 'graph' | 'logger'>) {
  const { sql } = runtime;
  return {
    async check(row: ContextRow): Promise<ContextHealthValue> {
      const atWork = findPlansAtWork(runtime, { tenantId: row.tenantId, contextId: row.id });
      const [facts] = (await sql.unsafe(
        `SELECT p.*, s.*, e.* FROM
           (SELECT count(*) FILTER (WHERE status = 'ACTIVE')::int AS active, count(*) FILTER (WHERE status = 'INACTIVE')::int AS idle, count(*) FILTER (WHERE status = 'LEAVING')::int AS other
            FROM context.participant WHERE tenant_id = $1 AND context_id = $2 AND status <> 'LEFT') p,
           (SELECT count(*) FILTER (WHERE ended_at IS NULL)::int AS "openSessions",
                   count(*) FILTER (WHERE status = 'FAILED' AND ended_at > now() - interval '1 day')::int AS "failedSessions",
                   count(*) FILTER (WHERE ended_at > now() - interval '1 day')::int AS "endedSessions",
                   count(*) FILTER (WHERE ended_at IS NULL AND (started_at + max_duration_ms * interval '1 millisecond' < now() - interval '10 seconds' OR (status = 'INITIALIZING' AND started_at < now() - interval '10 minutes')))::int AS "stuckSessions"
            FROM context.session WHERE tenant_id = $1 AND context_id = $2) s,
           (SELECT count(*)::int AS "eventsLastHour" FROM context.event WHERE tenant_id = $1 AND stream_id = $2 AND created_at > now() - interval '1 hour') e`,
        [row.tenantId, row.id],
        { prepare: true },
      )) as unknown as HealthFacts[];
      return judgeHealth(row, { ...facts!, plans: await atWork }, new Date());
    },
  };
}

/** Judges each component; the whole is as well as its worst part. */
export function judgeHealth(row: ContextRow, facts: HealthFacts, now: Date): ContextHealthValue {
  const issues: string[] = [];
  const recommendations: string[] = [];
  const components: HealthComponent[] = [];
  const judge = (name: string, level: HealthLevel, detail: string, advice?: string) => {
    components.push({ name, level, detail });
    if (level === 'HEALTHY') return;
    issues.push(detail);
    if (advice !== undefined) recommendations.push(advice);
  };
  const { maxParticipants, maxSessions } = row.configuration;
  const open = row.status === 'draft' || row.status === 'active' || row.status === 'suspended';

  judge(
    'status',
    row.status === 'suspended' ? 'DEGRADED' : 'HEALTHY',
    `the context is ${row.status.toUpperCase()}`,
    'resume the context when work may go on',
  );
  const present = facts.active + facts.idle + facts.other;
  judge(
    'participants',
    open && present > 0 && facts.active === 0
      ? 'UNHEALTHY'
      : open && facts.idle > facts.active
        ? 'DEGRADED'
        : 'HEALTHY',
    `${facts.active} active and ${facts.idle} idle of ${present} participants`,
    'remove participants that have gone, or wake them',
  );
  const failureShare = facts.endedSessions === 0 ? 0 : facts.failedSessions / facts.endedSessions;
  judge(
    'sessions',
    facts.stuckSessions > 0
      ? 'UNHEALTHY'
      : failureShare >= 0.5
        ? 'UNHEALTHY'
        : facts.failedSessions > 0
          ? 'DEGRADED'
          : 'HEALTHY',
    `${facts.openSessions} open, ${facts.stuckSessions} stuck, ${facts.failedSessions} of ${facts.endedSessions} that ended within a day failed`,
    facts.stuckSessions > 0 ? 'end the sessions that are stuck' : 'look into the sessions that failed',
  );
  const participantUtilisation = row.participantCount / maxParticipants;
  const sessionUtilisation = row.sessionCount / maxSessions;
  const fullest = Math.max(participantUtilisation, sessionUtilisation);
  judge(
    'capacity',
    open && fullest >= 1 ? 'UNHEALTHY' : open && fullest >= 0.8 ? 'DEGRADED' : 'HEALTHY',
    `${row.participantCount} of ${maxParticipants} participants, ${row.sessionCount} of ${maxSessions} sessions`,
    'raise maxParticipants or maxSessions, or end what is not needed',
  );
  const lifetime = lifetimeOf(row, now);
  judge(
    'expiry',
    !open || lifetime === null || lifetime < 0.9 ? 'HEALTHY' : lifetime >= 1 ? 'CRITICAL' : 'DEGRADED',
    row.expiresAt === null ? 'no expiry' : `expires at ${row.expiresAt}`,
    'move expiresAt if the work is not done',
  );
  judge(
    'governance',
    open && row.governance?.locked === true ? 'DEGRADED' : 'HEALTHY',
    row.governance?.locked === true ? 'locked: no write passes without an override' : 'unlocked',
    'unlock with an approved Confirm',
  );
  judge(
    'activity',
    row.status === 'active' && present > 0 && facts.eventsLastHour === 0 ? 'DEGRADED' : 'HEALTHY',
    `${facts.eventsLastHour} events within the last hour`,
    'close the context if its work is done',
  );
  const performance = performanceOf(facts.plans);
  if (performance !== null) judgePerformance(performance, judge);

  return {
    contextId: row.id,
    overall: components.reduce<HealthLevel>(
      (worst, { level }) => (ranks.indexOf(level) > ranks.indexOf(worst) ? level : worst),
      'HEALTHY',
    ),
    components,
    participantUtilisation,
    sessionUtilisation,
    lifetimeUtilisation: lifetime,
    eventsLastHour: facts.eventsLastHour,
    performance,
    issues,
    recommendations,
    checkedAt: now.toISOString(),
  };
}

function performanceOf(plans: PlansAtWork | null): ContextPerformanceValue | null {
  if (plans === null) return null;
  const ended = plans.completedLastHour + plans.failedLastHour;
  return { ...plans, failureShare: ended === 0 ? 0 : plans.failedLastHour / ended };
}

function judgePerformance(
  { runningTasks, blockedTasks, completedLastHour, failedLastHour, failureShare }: ContextPerformanceValue,
  judge: (name: string, level: HealthLevel, detail: string, advice: string) => void,
): void {
  judge(
    'performance',
    failureShare >= 0.5 ? 'UNHEALTHY' : failureShare >= 0.1 || blockedTasks > 0 ? 'DEGRADED' : 'HEALTHY',
    `${runningTasks} steps of plans at work, ${blockedTasks} blocked; within the last hour ${completedLastHour} completed, ${failedLastHour} failed`,
    blockedTasks > 0 ? 'step in where steps are blocked' : 'look into the steps that failed',
  );
}

/** Share of the span from creation to expiry that is over, 0 to 1; null without an expiry. */
function lifetimeOf(row: ContextRow, now: Date): number | null {
  if (row.expiresAt === null) return null;
  const from = Date.parse(row.createdAt);
  const span = Date.parse(row.expiresAt) - from;
  return span <= 0 ? 1 : Math.min(1, Math.max(0, (now.getTime() - from) / span));
}
