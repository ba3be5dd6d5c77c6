import type { Consumer } from '#shared/consumer.ts';
import { createKeyedReader } from '#shared/keyedReader.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { createBallots, type VotingFacts } from './ballots.ts';
import { createBroadcasts } from './broadcasts.ts';
import { createCalls } from './calls.ts';
import { createCollaborations, ending } from './collaborations.ts';
import { createCommandRunner } from './commands.ts';
import { createConfirms } from './confirms.ts';
import { createConflicts } from './conflicts.ts';
import { type ContextChange, createContexts } from './contexts.ts';
import { createCoordination } from './coordination.ts';
import { createCouncils } from './councils.ts';
import { createCreation } from './creation.ts';
import { createDeadlines } from './deadlines.ts';
import { createDecisions } from './decisions.ts';
import { end, suspend } from './moves.ts';
import { createParticipants } from './participants.ts';
import { writerOf } from './recommend/httpWriter.ts';
import type { RecommendationWriter } from './recommend/wording.ts';
import { createRecommendations } from './recommendations.ts';
import { createReferences } from './references.ts';
import { createResources } from './resources.ts';
import type { CollabRow } from './rows.ts';
import { type CollabKey, collabColumns, keysOf } from './store.ts';
import { createTasks } from './tasks.ts';
import { collabJobs, startTimers } from './timers.ts';
import { createTurns } from './turns.ts';
import { createPerformanceFor } from './weighting.ts';

export interface CollabServiceOptions {
  /** Puts recommendations into words; their figures are the module's. @default the service of COLLAB_WRITER_URL, else plain words */
  readonly writer?: RecommendationWriter;
}

export type CollabService = ReturnType<typeof createCollabService>;

/** Everything the collab module does; resolvers, jobs and consumers call it. */
export function createCollabService(runtime: ModuleRuntime, options: CollabServiceOptions = {}) {
  const { sql, logger } = runtime;
  const writer = options.writer ?? writerOf(runtime.config, logger);
  const commands = createCommandRunner(runtime);
  const contexts = createContexts(runtime);
  const references = createReferences(runtime);
  const calls = createCalls(runtime, { commands, contexts });
  const performanceFor = createPerformanceFor(runtime);
  const decisions = createDecisions(runtime, { calls, performanceFor });
  const deadlines = createDeadlines(runtime, { calls, decisions });
  const confirms = createConfirms(runtime, { calls });
  const rows = createKeyedReader<CollabKey, CollabRow>(runtime.keyedSql ?? sql, {
    text: `SELECT ${collabColumns}, k.ord::int AS ord FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS k(tenant_id, id, ord) JOIN collab.collaboration c USING (tenant_id, id)`,
    parametersOf: (keys) => keysOf(keys) as string[][],
  });
  let followers: readonly Consumer[] = [];

  async function findVoting(tenantId: string, decisionId: string): Promise<VotingFacts> {
    const [row] = (await sql.unsafe(
      `SELECT (rules->>'anonymity')::boolean AS "isAnonymous", council_id IS NOT NULL AS "isBeforeCouncil"
       FROM collab.decision WHERE tenant_id = $1 AND id = $2`,
      [tenantId, decisionId],
      { prepare: true },
    )) as unknown as VotingFacts[];
    return row ?? { isAnonymous: false, isBeforeCouncil: false };
  }

  async function decisionOf(tenantId: string, councilId: string): Promise<string | null> {
    const [row] = (await sql.unsafe(
      'SELECT decision_id AS id FROM collab.council WHERE tenant_id = $1 AND id = $2',
      [tenantId, councilId],
      { prepare: true },
    )) as unknown as { id: string }[];
    return row?.id ?? null;
  }

  /** A context that is no longer active suspends what runs in it; one that is gone or closed ends it. */
  async function followContext({ tenantId, contextId, status }: ContextChange): Promise<void> {
    if (status === 'active') return;
    const isOver = status === 'deleted' || status === 'closed' || status === 'archived';
    const open = (await sql.unsafe(
      `SELECT id FROM collab.collaboration WHERE tenant_id = $1 AND context_id = $2 AND status = ANY($3::text[])`,
      [tenantId, contextId, isOver ? ['draft', 'active', 'suspended'] : ['active']],
      { prepare: true },
    )) as unknown as { id: string }[];
    const reason = `the context is ${status.toUpperCase()}`;
    for (const { id } of open)
      await calls.runAs(
        tenantId,
        id,
        {
          action: 'collab.context',
          needs: ending,
        },
        (draft) => {
          const now = draft.collab.status;
          if (now === 'completed' || now === 'cancelled') return null;
          if (isOver) end(draft, 'cancelled', { reason, isFailed: false });
          else if (now === 'active') suspend(draft, 'context', reason);
          else return null;
          return { collabId: id };
        },
      );
  }

  return {
    sql,
    sqlOf: runtime.sqlOf,
    rows,
    learn: contexts.learn,
    creation: createCreation(runtime, { commands, contexts, references }),
    collaborations: createCollaborations(runtime, { calls }),
    participants: createParticipants({ calls, references }),
    turns: createTurns({ calls }),
    broadcasts: createBroadcasts({ calls }),
    tasks: createTasks({ calls }),
    coordination: createCoordination(runtime, { calls, contexts, references }),
    decisions,
    ballots: createBallots({ calls, findVoting }),
    councils: createCouncils({ calls, decisionOf, performanceFor }),
    resources: createResources({ calls }),
    conflicts: createConflicts({ calls }),
    recommendations: createRecommendations(runtime, { calls, contexts, writer }),
    deadlines,

    jobs: () => collabJobs(deadlines),

    /** Reads everything other modules have told so far; for tests. */
    async catchUp(): Promise<void> {
      for (const follower of followers) await follower.catchUp();
    },

    async start(): Promise<StartedModule> {
      const timers = startTimers({ logger }, deadlines);
      followers = await Promise.all([contexts.follow(followContext), references.follow(), confirms.follow()]);
      return {
        async close() {
          await Promise.all(followers.map((follower) => follower.close()));
          await timers.close();
          await commands.drain();
        },
      };
    },

    drain: () => commands.drain(),
  };
}
