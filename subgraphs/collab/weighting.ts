import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { matchScore } from './participantRows.ts';
import type { CollabRow, ParticipantRow } from './rows.ts';
import type { Voter } from './voting/index.ts';

export const weightingStrategies = ['equal', 'expertise_based', 'role_based', 'performance_based'] as const;

/** Where the weights of a vote come from, instead of from the participants' own. */
export interface Weighting {
  readonly strategy: (typeof weightingStrategies)[number];
  /** Of roles, by id; those that are not named weigh nothing. */
  readonly roles: Readonly<Record<string, number>>;
}

/** What participants have done in a collaboration: tasks in time and turns taken, and those that failed, were late or missed. */
export type Performance = ReadonlyMap<string, { readonly kept: number; readonly missed: number }>;

/** What participants have done, where the weights of a decision are made of it; null where they are not. */
export type PerformanceFor = (
  tenantId: string,
  collabId: string,
  by: { readonly decisionId: string } | { readonly strategy: Weighting['strategy'] | undefined },
) => Promise<Performance | null>;

/** Looked at before the collaboration is locked. Rules that are not said are those of the collaboration. */
export function createPerformanceFor({ sql }: Pick<ModuleRuntime, 'sql'>): PerformanceFor {
  return async (tenantId, collabId, by) => {
    const [text, id] =
      'decisionId' in by
        ? [`SELECT rules->'weighting'->>'strategy' AS strategy FROM collab.decision`, by.decisionId]
        : [`SELECT decision_config->'weighting'->>'strategy' AS strategy FROM collab.collaboration`, collabId];
    const given = 'strategy' in by ? by.strategy : undefined;
    const [row] = (
      given === undefined
        ? await sql.unsafe(`${text} WHERE tenant_id = $1 AND id = $2`, [tenantId, id], { prepare: true })
        : [{ strategy: given }]
    ) as { strategy: string | null }[];
    return row?.strategy === 'performance_based' ? readPerformance(sql, tenantId, collabId) : null;
  };
}

async function readPerformance(sql: Sql, tenantId: string, collabId: string): Promise<Performance> {
  const rows = (await sql.unsafe(
    `SELECT id, sum(kept)::int AS kept, sum(missed)::int AS missed FROM (
       SELECT a.id,
         count(*) FILTER (WHERE t.status = 'completed' AND (t.deadline IS NULL OR t.finished_at <= t.deadline)) AS kept,
         count(*) FILTER (WHERE t.status = 'failed' OR (t.status = 'completed' AND t.finished_at > t.deadline)) AS missed
       FROM collab.task t, LATERAL (SELECT t.assigned_to AS id UNION SELECT jsonb_array_elements_text(t.helpers)) a
       WHERE t.tenant_id = $1 AND t.collab_id = $2 AND t.assigned_to IS NOT NULL GROUP BY 1
       UNION ALL
       SELECT u.participant_id, count(*) FILTER (WHERE u.status = 'completed'), count(*) FILTER (WHERE u.status = 'timed_out')
       FROM collab.turn u WHERE u.tenant_id = $1 AND u.collab_id = $2 GROUP BY 1
     ) done GROUP BY id`,
    [tenantId, collabId],
    { prepare: true },
  )) as unknown as { id: string; kept: number; missed: number }[];
  return new Map(rows.map(({ id, kept, missed }) => [id, { kept, missed }]));
}

interface Weighed {
  readonly collab: Pick<CollabRow, 'objectives'>;
  readonly weighting: Weighting;
  readonly performance: Performance | null;
}

function rawWeight(row: ParticipantRow, { collab, weighting, performance }: Weighed): number {
  switch (weighting.strategy) {
    case 'equal':
      return 1;
    case 'expertise_based':
      return matchScore(collab.objectives, row.capabilities);
    case 'role_based':
      return row.roleId === null ? 0 : (weighting.roles[row.roleId] ?? 0);
    case 'performance_based': {
      if (performance === null)
        throw new PlatformError('VERSION_CONFLICT', 'the rules of the vote have changed meanwhile: try again');
      const { kept, missed } = performance.get(row.participantId) ?? { kept: 0, missed: 0 };
      return (1 + kept) / (2 + kept + missed);
    }
  }
}

/**
 * Voters with their weights, of a sum of 1. By expertise the part of what the objectives ask for that each has; by
 * performance the rule of succession (Laplace 1774) over what each has done, so that who has done nothing has one half.
 * @throws {RULE_MISCONFIGURED} where no role that votes has a weight
 * @throws {VERSION_CONFLICT} where what was done was not read: the rules have changed meanwhile
 */
export function weigh(
  participants: readonly ParticipantRow[],
  { collab, weighting, performance }: Omit<Weighed, 'weighting'> & { readonly weighting: Weighting | undefined },
): readonly Voter[] {
  if (weighting === undefined) return participants.map(({ participantId: id, weight }) => ({ id, weight }));
  const raw = participants.map((row) => rawWeight(row, { collab, weighting, performance }));
  const sum = raw.reduce((all, weight) => all + weight, 0);
  if (sum <= 0 && weighting.strategy === 'role_based')
    throw new PlatformError('RULE_MISCONFIGURED', 'none of the roles that vote has a weight', {
      path: ['input', 'rules', 'weighting'],
    });
  // Nobody has what is asked for: all know as little.
  return participants.map(({ participantId: id }, at) => ({
    id,
    weight: sum <= 0 ? 1 / participants.length : raw[at]! / sum,
  }));
}
