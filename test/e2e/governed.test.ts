import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frozenPresent } from '../conformance/frozen.ts';
import { openFrozenCheck } from '../conformance/frozenCheck.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

type Json = Record<string, unknown>;
interface Lease {
  readonly executionId: string;
  readonly stepId: string;
  readonly epoch: number;
}

const errors = 'userErrors { code message path }';
const tenant = 'governed';

describe.each(modes)(
  `a governed piece of work${frozenPresent ? '' : ' (check.mjs NOT run: ../shared is absent)'}, %s`,
  (mode) => {
    let platform: Platform;
    let folder: string;
    const tokens = new Map<string, string>();
    const processes: ChildProcess[] = [];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'mplp-governed-'));
      platform = await sharePlatform({ mode });
      tokens.set('olivia', await platform.token({ tenant, subject: 'olivia', roles: ['admin'] }));
      // No role in their tokens: all they may do comes from the role module.
      for (const subject of ['rex', 'ria', 'agent-1', 'agent-2', 'agent-3'])
        tokens.set(subject, await platform.token({ tenant, subject, roles: [] }));
    });
    afterAll(async () => {
      for (const child of processes) child.kill('SIGKILL');
      await platform?.close();
      await rm(folder, { recursive: true, force: true });
    });

    /** Calls a field and answers its value; a mutation with what it refuses. */
    async function ask(subject: string, document: string, variables: Json = {}): Promise<Json> {
      const answer = await platform.query(document, variables, { token: tokens.get(subject)! });
      expect(answer.errors, document).toEqual([]);
      return Object.values(answer.data!)[0] as Json;
    }
    async function done(subject: string, document: string, variables: Json = {}): Promise<Json> {
      const payload = await ask(subject, document, variables);
      expect(payload['userErrors'], document).toEqual([]);
      return payload;
    }
    const codesOf = (payload: Json) => (payload['userErrors'] as { code: string }[]).map(({ code }) => code);

    async function until<Value>(read: () => Promise<Value>, isReached: (value: Value) => boolean): Promise<Value> {
      let value = await read();
      for (const deadline = Date.now() + 20_000; !isReached(value) && Date.now() < deadline; value = await read())
        await new Promise((resolve) => setTimeout(resolve, 100));
      return value;
    }

    async function createRole(name: string, permissions: readonly { resourceType: string; actions: string[] }[]) {
      const { role } = await done(
        'olivia',
        `mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } ${errors} } }`,
        { input: { name, permissions } },
      );
      return (role as { id: string }).id;
    }
    const assign = (roleId: string, subjectId: string) =>
      done(
        'olivia',
        `mutation ($input: AssignRoleInput!) { assignRole(input: $input) { assignment { status } ${errors} } }`,
        { input: { roleId, subjectId } },
      );
    async function startAgent(agentId: string, executionId: string, role: string, manner: 'work' | 'stall') {
      const child = spawn(
        process.execPath,
        [
          fileURLToPath(new URL('governed/agent.ts', import.meta.url)),
          `${platform.url}/graphql`,
          tokens.get(agentId)!,
          executionId,
          agentId,
          role,
          manner,
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      processes.push(child);
      const said: Json[] = [];
      const first = Promise.withResolvers<Json>();
      createInterface({ input: child.stdout }).on('line', (line) => {
        said.push(JSON.parse(line) as Json);
        first.resolve(said[0]!);
      });
      const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
      void ended.then((code) => first.reject(new Error(`${agentId} ended with ${code} before it claimed anything`)));
      // Whoever waits for the first line hears of it; the others need not.
      first.promise.catch(() => {});
      return { child, said, first: first.promise, ended };
    }

    it('goes from context to trace, and exports what the protocol asks', async () => {
      const { context } = await done(
        'olivia',
        `mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id status } ${errors} } }`,
        { input: { title: 'Orchard survey', root: { domain: 'survey', environment: 'test' } } },
      );
      const contextId = (context as { id: string }).id;
      const reviewer = await createRole('reviewer', [
        { resourceType: 'confirm', actions: ['read', 'approve'] },
        { resourceType: 'plan', actions: ['read', 'approve'] },
      ]);
      const surveyor = await createRole('surveyor', [{ resourceType: 'plan', actions: ['read', 'work'] }]);
      for (const subject of ['rex', 'ria']) await assign(reviewer, subject);
      for (const subject of ['agent-1', 'agent-2', 'agent-3']) await assign(surveyor, subject);

      const ids = Array.from({ length: 6 }, () => crypto.randomUUID());
      const { plan } = await done(
        'olivia',
        `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id status } ${errors} } }`,
        {
          input: {
            contextId,
            title: 'Count the trees',
            objective: 'Know how many trees bear fruit',
            requiresApproval: true,
            steps: ids.map((id, index) => ({
              id,
              description: `Walk row ${index + 1}`,
              agentRole: surveyor,
              orderIndex: index,
              durationMs: 60_000,
              dependsOn: index === 0 ? [] : index === 5 ? ids.slice(1, 5) : [ids[0]],
            })),
          },
        },
      );
      const planId = (plan as { id: string }).id;
      const planStatus = async () =>
        (await ask('olivia', 'query ($id: ID!) { plan(planId: $id) { status } }', { id: planId }))['status'] as string;

      // Asked for, rejected with a reason, and asked for again.
      const approvalOf = (approvers: readonly Json[]) =>
        ask(
          'olivia',
          `mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { confirm { id } nextApprovers { subject } ${errors} } }`,
          {
            input: {
              targetType: 'PLAN',
              targetId: planId,
              contextId,
              confirmationType: 'PLAN_APPROVAL',
              title: 'Count the trees',
              approvers,
              quorum: { kind: 'UNANIMOUS' },
            },
          },
        );
      const requestApproval = async () => {
        const { confirm, nextApprovers, userErrors } = await approvalOf([{ subject: 'rex' }]);
        expect(userErrors).toEqual([]);
        // Whoever holds plan:approve is asked, whom alone she names.
        expect((nextApprovers as { subject: string }[]).map(({ subject }) => subject).sort()).toEqual(['rex', 'ria']);
        return (confirm as { id: string }).id;
      };
      // A friend without the right decides nothing, and nothing was proposed.
      expect(codesOf(await approvalOf([{ subject: 'agent-1' }]))).toEqual(['NO_ELIGIBLE_APPROVER']);
      expect(await planStatus()).toBe('DRAFT');
      const decide = (subject: string, confirmId: string, decision: string, rationale: string | null) =>
        ask(
          subject,
          `mutation ($input: ApprovalDecisionInput!) { processApproval(input: $input) { confirm { status } ${errors} } }`,
          { input: { confirmId, decision, rationale } },
        );
      const refused = await requestApproval();
      expect(await until(planStatus, (status) => status === 'PROPOSED')).toBe('PROPOSED');
      expect(codesOf(await decide('olivia', refused, 'APPROVED', null))).toEqual([
        expect.stringMatching(/SELF_APPROVAL_FORBIDDEN|NOT_AN_APPROVER/),
      ]);
      expect(codesOf(await decide('rex', refused, 'REJECTED', 'The far rows are missing'))).toEqual([]);
      expect(await until(planStatus, (status) => status === 'DRAFT')).toBe('DRAFT');
      expect(
        codesOf(
          await ask('olivia', `mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { ${errors} } }`, {
            input: { planId },
          }),
        ),
      ).toEqual([expect.stringMatching(/INVALID_STATE/)]);

      const agreed = await requestApproval();
      expect(await until(planStatus, (status) => status === 'PROPOSED')).toBe('PROPOSED');
      expect(codesOf(await decide('rex', agreed, 'APPROVED', 'All rows are in'))).toEqual([]);
      expect(codesOf(await decide('rex', agreed, 'APPROVED', 'All rows are in'))).toEqual(['ALREADY_DECIDED']);
      expect(await planStatus()).toBe('PROPOSED');
      expect(codesOf(await decide('ria', agreed, 'APPROVED', 'Agreed'))).toEqual([]);
      expect(await until(planStatus, (status) => status === 'APPROVED')).toBe('APPROVED');

      // Three agents; the first takes the only ready step and is killed before it completes it.
      const { execution } = await done(
        'olivia',
        `mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { execution { id } ${errors} } }`,
        { input: { planId, leaseMs: 2_000 } },
      );
      const executionId = (execution as { id: string }).id;
      const dead = await startAgent('agent-1', executionId, surveyor, 'stall');
      const { lease: lost } = (await dead.first) as { lease: Lease };
      dead.child.kill('SIGKILL');
      await dead.ended;
      expect(lost.stepId).toBe(ids[0]);
      // The lease lapses, another takes the step, and the run goes on: the dead agent's fencing token is worth nothing.
      const completeAs = (agentId: string, lease: Lease) =>
        ask(
          agentId,
          `mutation ($lease: StepLeaseInput!, $by: JSON!) { completeStep(lease: $lease, result: { by: $by }) { step { status } ${errors} } }`,
          { lease, by: agentId },
        );
      const taken = (await until(
        async () =>
          (
            await done(
              'agent-2',
              `mutation ($id: ID!, $role: String!) { claimStep(executionId: $id, agentId: "agent-2", roles: [$role]) { lease { executionId stepId epoch } ${errors} } }`,
              { id: executionId, role: surveyor },
            )
          )['lease'] as Lease | null,
        (lease) => lease !== null,
      )) as Lease;
      expect(taken).toMatchObject({ stepId: lost.stepId });
      expect(taken.epoch).toBeGreaterThan(lost.epoch);
      expect(codesOf(await completeAs('agent-1', lost))).toEqual(['LEASE_LOST']);
      expect(codesOf(await completeAs('agent-2', taken))).toEqual([]);
      expect(await planStatus()).toBe('IN_PROGRESS');
      const living = await Promise.all([
        startAgent('agent-2', executionId, surveyor, 'work'),
        startAgent('agent-3', executionId, surveyor, 'work'),
      ]);
      expect(
        await until(planStatus, (status) => status === 'COMPLETED'),
        JSON.stringify(living.map(({ said }) => said)),
      ).toBe('COMPLETED');
      await Promise.all(living.map(({ ended }) => ended));
      const completed = living.flatMap(({ said }) => said.filter((line) => 'completed' in line));
      expect(completed.map((line) => line['errors'])).toEqual(completed.map(() => []));
      expect(completed.map((line) => line['completed']).sort()).toEqual(ids.slice(1).sort());
      // The dead agent comes back once more with its lease of old.
      expect(codesOf(await completeAs('agent-1', lost))).toEqual(['EXECUTION_NOT_ACTIVE']);
      const run = await ask(
        'olivia',
        'query ($id: ID!) { planExecution(executionId: $id) { status overallProgress taskProgress { stepId status attempt result } } }',
        { id: executionId },
      );
      expect(run).toMatchObject({ status: 'COMPLETED', overallProgress: 1 });
      const steps = run['taskProgress'] as { stepId: string; status: string; attempt: number; result: Json }[];
      expect(steps.map(({ status }) => status)).toEqual(ids.map(() => 'COMPLETED'));
      expect(steps.find(({ stepId }) => stepId === ids[0])).toMatchObject({
        attempt: 2,
        result: { by: 'agent-2' },
      });

      // What happened stands in a trace of the run, bound to context and plan.
      const traces = await until(
        async () =>
          (
            await ask(
              'olivia',
              'query ($contextId: ID!) { traces(filter: { contextId: $contextId }) { nodes { id status planId events(first: 5) { edges { cursor } } } } }',
              { contextId },
            )
          )['nodes'] as { status: string; planId: string | null; events: { edges: unknown[] } }[],
        (nodes) => nodes.some((node) => node.planId === planId && node.status === 'COMPLETED'),
      );
      const runTrace = traces.find((trace) => trace.planId === planId);
      expect(runTrace).toMatchObject({ status: 'COMPLETED' });
      expect(runTrace!.events.edges.length).toBeGreaterThan(0);

      const bundle = (await ask('olivia', 'query ($id: ID!) { exportProtocolBundle(contextId: $id) }', {
        id: contextId,
      })) as Record<string, Json[]>;
      expect(Object.keys(bundle).filter((module) => bundle[module]!.length > 0)).toEqual(
        expect.arrayContaining(['context', 'plan', 'role', 'confirm', 'trace', 'events']),
      );
      expect(bundle['confirm']!.map((confirm) => confirm['status']).sort()).toEqual(['approved', 'rejected']);
      const families = new Set(bundle['events']!.map((event) => event['event_family']));
      expect([...families]).toEqual(expect.arrayContaining(['graph_update', 'pipeline_stage']));
      if (!frozenPresent) return;
      const script = await openFrozenCheck(folder);
      const { code, output } = await script.run(await script.write('out', bundle), [
        '--profile',
        'golden,sa,obs',
        '--compare',
        'none',
        '--require',
        'context,plan,role,confirm,trace',
      ]);
      expect(code, output).toBe(0);
      expect(output).toMatch(/\n[1-9]\d* passed, 0 failed\n$/);
    });
  },
);
