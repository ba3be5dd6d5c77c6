import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { alice, type CoreRig, command, errors, executeWorkflow, openCoreRig, stepOf } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig();
});
afterAll(() => rig[Symbol.asyncDispose]());
beforeEach(async () => {
  await become('active');
});

const waits = { steps: [{ stepId: 'wait', kind: 'SIGNAL', signal: 'go' }] };
const signal = `mutation ($id: ID!) { signalWorkflow(executionId: $id, signal: { name: "go" }) { execution { status } ${errors} } }`;
const bulk = `mutation ($input: BulkCoreWorkflowsInput!) { bulkChangeWorkflows(input: $input) { matched changed refused { executionId code } ${errors} } }`;

/** As the context's module tells; it is read before this answers. */
async function become(status: string): Promise<void> {
  rig.contexts.set(`one/${rig.contextId}`, status.toUpperCase());
  const context = { id: rig.contextId, status, visibility: 'PUBLIC', ownerId: 'alice' };
  await rig.tell('context', 'context.state.changed', { context }, rig.contextId);
  await rig.service.catchUp();
}

test.each([
  ['suspended', 'the context is SUSPENDED'],
  ['completed', 'the context is COMPLETED'],
])(
  'a context that is %s pauses what runs in it, and nothing goes on before it is active again',
  async (status, reason) => {
    const { contextId } = rig;
    const id = await rig.start(waits, { contextId });
    const elsewhere = await rig.start(waits);
    await become(status);
    await rig.untilTrue(id, (execution) => execution['status'] === ('PAUSED' as unknown));
    expect(await rig.execution(id)).toMatchObject({ statusReason: reason });
    expect(await rig.execution(elsewhere)).toMatchObject({ status: 'IN_PROGRESS' });
    expect(await rig.field(alice, command('resumeWorkflow'), { id })).toMatchObject({
      execution: null,
      userErrors: [{ code: 'CONTEXT_NOT_ACTIVE' }],
    });
    expect(
      await rig.field(alice, bulk, { input: { filter: { contextId }, action: 'RESUME', dryRun: false } }),
    ).toMatchObject({
      changed: 0,
      refused: [{ executionId: id, code: 'CONTEXT_NOT_ACTIVE' }],
    });
    // Heard again, the change does no harm.
    await become(status);
    expect(await rig.execution(id)).toMatchObject({ status: 'PAUSED' });
    await become('active');
    expect(await rig.execution(id)).toMatchObject({ status: 'PAUSED' });
    await rig.field(alice, command('resumeWorkflow'), { id });
    await rig.field(alice, signal, { id });
    await rig.until(id, 'COMPLETED');
    await rig.field(alice, command('cancelWorkflow'), { id: elsewhere });
  },
);

test('one that was started while the context was left is paused as soon as it has begun', async () => {
  const { contextId } = rig;
  // The graph still says what it said before; this module has heard the change already.
  await rig.sql`UPDATE core.replica SET status = 'active' WHERE type = 'Context' AND id = ${contextId}`;
  const [started] = await Promise.all([
    rig.field(alice, executeWorkflow, { input: { definition: waits, contextId } }),
    become('suspended'),
  ]);
  const id = (started['execution'] as unknown as { id: string } | null)?.id;
  if (id === undefined) expect(started).toMatchObject({ userErrors: [{ code: 'CONTEXT_NOT_ACTIVE' }] });
  else await rig.untilTrue(id, (execution) => execution['status'] === ('PAUSED' as unknown));
});

test('one that waited for a place does not begin in a context that was left', async () => {
  const { contextId } = rig;
  const id = await rig.start(waits, { contextId });
  // As one that has found no place yet.
  await rig.sql`UPDATE core.step_execution SET status = 'pending', started_at = NULL WHERE execution_id = ${id}`;
  await rig.sql`UPDATE core.execution SET status = 'created', holds_slot = false, next_at = now() + interval '1 hour' WHERE id = ${id}`;
  await become('suspended');
  await rig.sql`UPDATE core.execution SET next_at = now() WHERE id = ${id}`;
  rig.service.worker.expect(0);
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(await rig.execution(id)).toMatchObject({ status: 'CREATED' });
  await become('active');
  const begun = await rig.untilTrue(id, (execution) => execution['status'] === ('IN_PROGRESS' as unknown));
  expect(stepOf(begun, 'wait')).toMatchObject({ status: 'WAITING' });
});
