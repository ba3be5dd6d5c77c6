import type { RequestScope } from '#shared/context.ts';
import { createKeyedReader } from '#shared/keyedReader.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { createConfirmAccess } from './access.ts';
import { createApprovals } from './approvals.ts';
import { verifyChain } from './chain/chain.ts';
import { createChange } from './changes.ts';
import { readClock } from './clock.ts';
import { type CommandResult, createCommandRunner } from './commands.ts';
import { createConsensus } from './consensus/consensus.ts';
import { consensusOf } from './consensus/state.ts';
import { createContexts } from './contexts.ts';
import { createDelegates } from './delegates.ts';
import { type ApproverDirectory, createGraphDirectory } from './directory.ts';
import { viewOf } from './draft.ts';
import { decisionTimeOf, tallyOf } from './engine.ts';
import { createEscalations } from './escalations.ts';
import { createImports } from './imports.ts';
import { readConfirmLimits } from './limits.ts';
import { createRequestChecks } from './requestChecks.ts';
import { createRequests } from './requests.ts';
import { createReturns } from './returns.ts';
import { createRevisions } from './revisions.ts';
import { createRouting } from './routing.ts';
import type { ConfirmApproverRow, ConfirmDecisionRow, ConfirmRow, DecisionChainReportRow } from './rows.ts';
import { readStepTimes } from './statistics.ts';
import {
  approverListText,
  type ConfirmKey,
  confirmColumns,
  decisionListText,
  findConfirms,
  findDecisionsOf,
  keysOf,
} from './store.ts';
import { createTemplates } from './templates.ts';
import { confirmJobs, startTimers } from './timers.ts';
import { unknownConfirm } from './unknownConfirm.ts';
import { createWithdrawals } from './withdrawals.ts';

export interface ConfirmServiceOptions {
  /** @default the role module, asked through the graph */
  readonly directory?: ApproverDirectory;
}

interface ListRow<Item> {
  /** Null where there is none. */
  readonly items: readonly Item[] | null;
}

export type ConfirmService = ReturnType<typeof createConfirmService>;

/** Everything the confirm module does; resolvers, jobs and consumers call it. */
export function createConfirmService(runtime: ModuleRuntime, options: ConfirmServiceOptions = {}) {
  const { sql, logger } = runtime;
  const commands = createCommandRunner(runtime);
  const directory = options.directory ?? createGraphDirectory(runtime.graph);
  const routing = createRouting(sql, directory, readConfirmLimits(runtime.config));
  const findAble = createDelegates(directory);
  const returns = createReturns(runtime, { commands, routing, findAble });
  const templates = createTemplates(runtime);
  const contexts = createContexts(runtime);
  const checks = createRequestChecks(runtime, { templates, contexts });
  const keyedSql = runtime.keyedSql ?? sql;
  const access = createConfirmAccess({ sql, keyedSql }, contexts.learn);
  const change = createChange(commands, access);
  const approvals = createApprovals(runtime, { access, commands, change, routing, checks, findAble, returns });
  const revisions = createRevisions(runtime, { access, commands, change, routing, checks });
  const consensus = createConsensus(runtime, { access, commands, checks });
  const escalations = createEscalations(runtime, { commands, routing });
  const imports = createImports(runtime, { commands, routing });
  const requests = createRequests(runtime, {
    commands,
    routing,
    templates,
    contexts,
    withdrawals: createWithdrawals(runtime, commands),
    returns,
  });
  const readerOf = <Row extends object>(text: string) =>
    createKeyedReader<ConfirmKey, Row>(keyedSql, { text, parametersOf: keysOf });
  const rows = readerOf<ConfirmRow>(
    `SELECT ${confirmColumns}, k.ord::int AS ord FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS k(tenant_id, id, ord) JOIN confirm.confirm c USING (tenant_id, id)`,
  );
  const approverLists = readerOf<ListRow<ConfirmApproverRow>>(approverListText);
  const decisionLists = readerOf<ListRow<ConfirmDecisionRow>>(decisionListText);
  let followed: readonly { catchUp(): Promise<void> }[] = [];

  return {
    sql,
    keyedSql,
    learn: contexts.learn,
    rows,
    approverLists,
    decisionLists,
    approvals,
    revisions,
    consensus,
    escalations,
    requests,
    returns,
    templates,

    isAdmin: async (principal: Principal) => runtime.authorizer.allows(principal, 'confirm:admin'),

    /** The confirm a command left, or what stands now when an earlier call did the work. */
    async confirmOf(scope: RequestScope, { confirm, confirmId }: CommandResult): Promise<ConfirmRow> {
      const row = confirm ?? (await findConfirms(sql, scope.principal.tenantId, [confirmId]))[0];
      if (!row) throw unknownConfirm(confirmId);
      return row;
    },

    /** Recomputes the chain of a confirm's decisions. */
    async verify(tenantId: string, confirmId: string): Promise<DecisionChainReportRow | null> {
      // In one snapshot: a decision that comes in between is no fault.
      return sql.begin('ISOLATION LEVEL REPEATABLE READ READ ONLY', async (tx) => {
        const [confirm] = await findConfirms(tx, tenantId, [confirmId]);
        if (!confirm) return null;
        const decisions = await findDecisionsOf(tx, tenantId, [confirmId]);
        const head = { count: confirm.decisionCount, hash: confirm.chainHead };
        return { confirmId, ...verifyChain(decisions, head) };
      }) as Promise<DecisionChainReportRow | null>;
    },

    /** Votes of the active steps. */
    tallies(confirm: ConfirmRow, approvers: readonly ConfirmApproverRow[]) {
      // Votes over options have standings of their own.
      if (consensusOf(confirm) !== null) return [];
      const draft = viewOf(confirm, approvers);
      return confirm.steps
        .filter(({ status }) => status === 'active')
        .map((step) => {
          const { outcome: _outcome, ...tally } = tallyOf(draft, step);
          return { stepId: step.id, ...tally, criteria: [...tally.criteria] };
        });
    },

    /**
     * When a confirm is likely to end: each open step takes what it took before in confirms of the same template, one
     * after the other along the longest path; without such a past, when it is due.
     */
    async predict(confirm: ConfirmRow): Promise<string | null> {
      if (confirm.status !== 'pending' || confirm.workflow === null || confirm.expiresAt === null) return null;
      const times =
        confirm.templateId === null
          ? new Map<string, number>()
          : await readStepTimes(sql, confirm.tenantId, confirm.templateId);
      const nowMs = await readClock(sql);
      const workflow = viewOf(confirm).workflow!;
      const ends = new Map<string, number>();
      for (const { definition } of workflow.steps) {
        const state = confirm.steps.find(({ id }) => id === definition.id)!;
        if (state.status !== 'pending' && state.status !== 'active') {
          ends.set(definition.id, nowMs);
          continue;
        }
        const startMs =
          state.startedAt === null
            ? Math.max(nowMs, ...definition.dependsOn.map((id) => ends.get(id)!))
            : Date.parse(state.startedAt);
        const takesMs = times.get(definition.id) ?? decisionTimeOf(confirm, definition);
        ends.set(definition.id, Math.max(nowMs, startMs + takesMs));
      }
      return new Date(Math.min(Date.parse(confirm.expiresAt), Math.max(...ends.values()))).toISOString();
    },

    jobs: () => confirmJobs(escalations, returns),

    async start(): Promise<StartedModule> {
      const timers = startTimers({ logger }, escalations);
      const consumers = [...(await requests.follow()), await imports.follow()];
      followed = consumers;
      return {
        async close() {
          await Promise.all(consumers.map((consumer) => consumer.close()));
          await timers.close();
          await commands.drain();
        },
      };
    },

    /** Reads everything other modules have asked for so far; for tests. */
    async catchUp(): Promise<void> {
      for (const consumer of followed) await consumer.catchUp();
    },

    drain: () => commands.drain(),
  };
}
