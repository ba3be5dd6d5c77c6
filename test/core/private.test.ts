import { afterAll, beforeAll, expect, test } from 'vitest';
import { coreSubgraph } from '../../subgraphs/core/index.ts';
import {
  alice,
  type CoreRig,
  command,
  errors,
  executeWorkflow,
  openCoreRig,
  principal,
  task,
  workflowExecution,
} from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig({ works: false });
});
afterAll(() => rig[Symbol.asyncDispose]());

const bob = principal('bob');
const definition = { steps: [task('a')] };
const allocate = `mutation ($input: AllocateCoreResourcesInput!) { allocateResources(input: $input) { allocation { id } ${errors} } }`;
const decide = `mutation ($input: DecideCoreOrchestrationInput!) { decideOrchestration(input: $input) { decision { id } ${errors} } }`;
const bulk = `mutation ($input: BulkCoreWorkflowsInput!) { bulkChangeWorkflows(input: $input) { matched ${errors} } }`;

/** What the module has heard; the graph shows the context to who takes part in it, and that is not asked here. */
async function hear(visibility: string): Promise<void> {
  rig.contexts.delete(`one/${rig.contextId}`);
  await rig.sql`INSERT INTO core.replica (tenant_id, type, id, status, detail, sequence)
    VALUES ('one', 'Context', ${rig.contextId}, 'active', ${rig.sql.json({ visibility, ownerId: 'alice' })}, 1)
    ON CONFLICT (tenant_id, type, id) DO UPDATE SET detail = EXCLUDED.detail`;
}

test('work of a private context is there for its owner alone, and nobody else starts any in it', async () => {
  const { contextId } = rig;
  await hear('PUBLIC');
  const id = await rig.start(definition, { contextId });
  const { node } = await rig.field(
    alice,
    `mutation { putResourceNode(input: { name: "n", capacity: { cpuCores: 4, memoryMb: 1000 } }) { node { id } ${errors} } }`,
  );
  expect(node).not.toBeNull();
  const requirements = { cpuCores: 1, memoryMb: 10 };
  const { allocation } = await rig.field(alice, allocate, { input: { requirements, contextId } });
  const admitted = () =>
    coreSubgraph.subscriptions['workflowProgress']!.admit(bob, { executionId: id }, { sql: rig.sql }).then(
      () => 'admitted',
      (error: { code: string }) => error.code,
    );
  const seen = async () => [
    (await rig.field(bob, workflowExecution, { id })) !== null,
    (await rig.field(bob, '{ workflowExecutions { nodes { id } } }'))['nodes']!.length,
    (await rig.field(bob, 'query ($id: ID!) { allocation(allocationId: $id) { id } }', { id: allocation!['id'] })) !==
      null,
    (await rig.field(bob, '{ allocations { nodes { id } } }'))['nodes']!.length,
    (await rig.field(bob, bulk, { input: { filter: { contextId }, action: 'CANCEL' } }))['matched'],
    await admitted(),
  ];
  expect(await seen()).toEqual([true, 1, true, 1, 1, 'admitted']);

  await hear('PRIVATE');
  expect(await seen()).toEqual([false, 0, false, 0, 0, 'NOT_FOUND']);
  const codes = async (document: string, variables: object) =>
    (await rig.field(bob, document, { ...variables }))['userErrors']!.map((error) => error['code']);
  const rows = async () => [
    ...(await rig.sql`SELECT count(*)::int AS executions FROM core.execution`),
    ...(await rig.sql`SELECT count(*)::int AS allocations FROM core.allocation`),
    ...(await rig.sql`SELECT count(*)::int AS decisions FROM core.decision`),
  ];
  const before = await rows();
  expect(await codes(executeWorkflow, { input: { definition, contextId } })).toEqual(['NOT_FOUND']);
  expect(await codes(allocate, { input: { requirements, contextId } })).toEqual(['NOT_FOUND']);
  expect(await codes(decide, { input: { eventType: 'context.created', contextId } })).toEqual(['NOT_FOUND']);
  for (const name of ['pauseWorkflow', 'resumeWorkflow', 'cancelWorkflow'])
    expect([name, await codes(command(name), { id })]).toEqual([name, ['NOT_FOUND']]);
  expect(
    await codes(`mutation ($id: ID!) { signalWorkflow(executionId: $id, signal: { name: "s" }) { ${errors} } }`, {
      id,
    }),
  ).toEqual(['NOT_FOUND']);
  expect(
    await codes(`mutation ($id: ID!) { releaseResources(allocationId: $id) { ${errors} } }`, { id: allocation!['id'] }),
  ).toEqual(['NOT_FOUND']);
  expect(await rows()).toEqual(before);
  expect(await rig.field(alice, workflowExecution, { id })).toMatchObject({ id });
  await rig.start(definition, { contextId });
});
