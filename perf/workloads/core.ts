import { randomUUID } from 'node:crypto';
import type { Random } from '../load/random.ts';
import { createZipf } from '../load/sampler.ts';
import {
  type CreateWorkload,
  type GraphqlCall,
  type GraphqlResponse,
  type RequestOperation,
  readPath,
  type Verdict,
  withoutUserErrors,
} from '../load/workload.ts';
import { asked, type CoreSeed, executionId, groupNodes, stages, waits, workflowId } from '../seeds/core.ts';

export interface CoreParams {
  readonly seed: CoreSeed;
  readonly tokens: readonly string[];
  readonly url: string;
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
  /** Executions that wait for the signal `go` at their first stage, and at their last. */
  readonly waiting?: readonly string[];
  readonly closing?: readonly string[];
}

const systemHealth = '{ systemHealth { overall score components { name status responseMs } checkedAt } }';
const decide = `mutation Decide($input: DecideCoreOrchestrationInput!) { decideOrchestration(input: $input) { decision { id actions { order ruleId action } rejected { reason } executionId } userErrors { code message } } }`;
const allocate = `mutation Allocate($input: AllocateCoreResourcesInput!) { allocateResources(input: $input) { allocation { id status epoch nodeId } userErrors { code message } } }`;
const release = `mutation Release($id: ID!) { releaseResources(allocationId: $id) { allocation { status } userErrors { code message } } }`;
const allocateGang = `mutation AllocateGang($input: AllocateCoreGangInput!) { allocateResourceGang(input: $input) { allocations { id status epoch nodeId } userErrors { code message } } }`;
const execute = `mutation Execute($input: ExecuteCoreWorkflowInput!) { executeWorkflow(input: $input) { execution { id status output endedSteps } userErrors { code message } } }`;
const monitor = `query Monitor($id: ID!) { workflowExecution(executionId: $id) { id status completion currentSteps steps { stepId status attempt } history(first: 20) { nodes { sequence type stepId } } } }`;
const signal = `mutation Signal($id: ID!) { signalWorkflow(executionId: $id, signal: { name: "go" }) { execution { id status endedSteps } userErrors { code message } } }`;
const pause = `mutation Pause($id: ID!) { pauseWorkflow(executionId: $id) { execution { status } userErrors { code message } } }`;
const resume = `mutation Resume($id: ID!) { resumeWorkflow(executionId: $id) { execution { status } userErrors { code message } } }`;
const list = `query List($id: ID!) { workflowExecutions(filter: { workflowId: $id }, first: 20) { nodes { id status completion } } }`;

export const createWorkload: CreateWorkload<CoreParams> = (
  { seed, tokens, url, mix, waiting = [], closing = [] },
  { worker },
) => {
  const zipf = createZipf(Math.min(100, Math.floor(seed.workflows / 2)));
  const headers = tokens.map((token) => ({ authorization: `Bearer ${token}` }));
  const parallel = {
    steps: Array.from({ length: 100 }, (_, at) => ({
      stepId: `task${at}`,
      kind: 'PASS',
      input: at,
      ...(at < 20 ? {} : { dependsOn: [`task${at - 20}`] }),
    })),
    maxConcurrentSteps: 20,
  };
  const monitored = createZipf(seed.executions);
  // Each client process takes executions and nodes of its own: a request for nodes that another has in hand is refused.
  const ownGroups = Math.floor(seed.nodes / groupNodes / 4);
  let nextGroup = 0;
  let nextStep = worker * Math.floor(waiting.length / 4);
  let nextEnd = worker * Math.floor(closing.length / 4);

  async function ask(
    caller: Readonly<Record<string, string>>,
    query: string,
    variables: Readonly<Record<string, unknown>>,
  ): Promise<GraphqlResponse> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...caller, 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()) as GraphqlResponse;
  }
  const call = (
    random: Random,
    query: string,
    variables: Readonly<Record<string, unknown>>,
    check: (response: GraphqlResponse) => Verdict,
  ): GraphqlCall => ({
    ...{ query, variables, headers: random.pick(headers), check },
  });
  const complete = (random: Random, input: object, steps: number) =>
    call(random, execute, { input: { ...input, wait: true, idempotencyKey: randomUUID() } }, (response) => {
      const verdict = withoutUserErrors(response, 'executeWorkflow');
      if (verdict !== true) return verdict;
      const read = (name: string) => readPath(response.data, 'executeWorkflow', 'execution', name);
      return (
        (read('status') === 'COMPLETED' && read('endedSteps') === steps) ||
        `expected ${steps} steps completed, got ${String(read('status'))}`
      );
    });
  const decision = (dispatch: boolean) => (random: Random) =>
    call(
      random,
      decide,
      { input: { eventType: 'context.created', data: { id: randomUUID(), size: 3 }, dispatch } },
      (response) => {
        const verdict = withoutUserErrors(response, 'decideOrchestration');
        if (verdict !== true) return verdict;
        const actions = readPath(response.data, 'decideOrchestration', 'decision', 'actions');
        return (
          (Array.isArray(actions) && actions.length === asked.length) ||
          'expected one read of each module: the rules after the first do the same or do not hold'
        );
      },
    );

  async function lease(random: Random): Promise<Verdict> {
    const caller = random.pick(headers);
    const input = { requirements: { cpuCores: 1, memoryMb: 512 }, durationMs: 60_000, idempotencyKey: randomUUID() };
    const response = await ask(caller, allocate, { input });
    const verdict = withoutUserErrors(response, 'allocateResources');
    if (verdict !== true) return verdict;
    const read = (name: string) => readPath(response.data, 'allocateResources', 'allocation', name);
    if (read('status') !== 'ACTIVE') return `expected a lease, got ${String(read('status'))}`;
    return withoutUserErrors(await ask(caller, release, { id: read('id') }), 'releaseResources');
  }

  /** One request over all nodes of a group, an agent's share of each; the leases end by themselves. */
  const gang = (random: Random): GraphqlCall => {
    const group = String(worker * ownGroups + (nextGroup++ % ownGroups));
    const members = Array.from({ length: groupNodes }, (_, place) => ({
      requirements: { cpuCores: 1, memoryMb: 512 },
      affinity: [
        { name: 'group', value: group },
        { name: 'place', value: String(place) },
      ],
    }));
    const input = { members, durationMs: 1_000, idempotencyKey: randomUUID() };
    return call(random, allocateGang, { input }, (response) => {
      const verdict = withoutUserErrors(response, 'allocateResourceGang');
      if (verdict !== true) return verdict;
      const found = readPath(response.data, 'allocateResourceGang', 'allocations') as { nodeId: string }[];
      return new Set(found.map(({ nodeId }) => nodeId)).size === groupNodes || `expected ${groupNodes} nodes`;
    });
  };

  async function manage(random: Random): Promise<Verdict> {
    const caller = random.pick(headers);
    const id = waiting[nextStep++ % waiting.length]!;
    const listed = await ask(caller, list, { id: workflowId(1) });
    if (!Array.isArray(readPath(listed.data, 'workflowExecutions', 'nodes'))) return 'no list';
    const paused = withoutUserErrors(await ask(caller, pause, { id }), 'pauseWorkflow');
    if (paused !== true) return paused;
    return withoutUserErrors(await ask(caller, resume, { id }), 'resumeWorkflow');
  }

  const next: Readonly<Record<string, RequestOperation['next']>> = {
    system_health: (random) =>
      call(
        random,
        systemHealth,
        {},
        ({ data }) => typeof readPath(data, 'systemHealth', 'score') === 'number' || 'no score',
      ),
    orchestration_decision: decision(false),
    orchestration_cycle: decision(true),
    resource_coordination: gang,
    workflow_execution: (random) => complete(random, { workflowId: workflowId(zipf.sample(random) * 2) }, stages),
    task_execution: (random) =>
      complete(random, { definition: { steps: [{ stepId: 'task', kind: 'PASS', input: 1 }] } }, 1),
    parallel_execution: (random) => complete(random, { definition: parallel }, 100),
    execution_monitoring(random) {
      const id = executionId(monitored.sample(random));
      return call(random, monitor, { id }, ({ data }) => {
        const nodes = readPath(data, 'workflowExecution', 'history', 'nodes');
        return (
          (Array.isArray(nodes) && nodes.length === 20 && readPath(data, 'workflowExecution', 'id') === id) ||
          'history is not whole'
        );
      });
    },
    workflow_start(random) {
      const workflow = zipf.sample(random) * 2 + 1;
      if (!waits(workflow)) throw new Error('expected a workflow that waits');
      return call(
        random,
        execute,
        { input: { workflowId: workflowId(workflow), idempotencyKey: randomUUID() } },
        (response) => withoutUserErrors(response, 'executeWorkflow'),
      );
    },
    workflow_step(random) {
      const id = waiting[nextStep++ % waiting.length]!;
      return call(random, signal, { id }, (response) => {
        const verdict = withoutUserErrors(response, 'signalWorkflow');
        return verdict !== true
          ? verdict
          : readPath(response.data, 'signalWorkflow', 'execution', 'endedSteps') === 1 ||
              'expected one stage completed';
      });
    },
    workflow_completion(random) {
      const id = closing[nextEnd++ % closing.length]!;
      return call(random, signal, { id }, (response) => {
        const verdict = withoutUserErrors(response, 'signalWorkflow');
        return verdict !== true
          ? verdict
          : readPath(response.data, 'signalWorkflow', 'execution', 'status') === 'COMPLETED' || 'expected it completed';
      });
    },
  };
  const calls: Readonly<Record<string, (random: Random) => Promise<Verdict>>> = {
    resource_allocation: lease,
    workflow_management: manage,
  };
  return {
    operations: Object.entries(mix).map(([name, weight]) => {
      const named = name === 'system_health_check' ? 'system_health' : name;
      return calls[named] ? { name, weight, call: calls[named] } : { name, weight, next: next[named]! };
    }),
  };
};
