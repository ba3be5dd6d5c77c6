import { afterAll, beforeAll, expect, test } from 'vitest';
import { alice, bob, type ConfirmRig, carol, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

async function decided(): Promise<string> {
  const id = await rig.open(alice, {
    approvers: [{ subject: 'bob' }, { subject: 'carol' }],
    quorum: { kind: 'UNANIMOUS' },
  });
  await rig.decide(bob, id, 'DEFERRED');
  await rig.decide(bob, id, 'CONDITIONAL_APPROVAL', {
    conditions: [{ text: 'ä', dueDate: new Date(Date.now() + 86_400_000).toISOString() }],
    riskAssessment: { factors: [{ factor: 'ü', probability: 0.1, impact: 'LOW' }], complianceRequirements: ['x'] },
  });
  await rig.decide(carol, id, 'APPROVED', { rationale: 'fine' });
  return id;
}

const verify = async (id: string, who = alice) =>
  (
    await rig.ask(
      who,
      'query ($id: ID!) { verifyDecisions(confirmId: $id) { valid length fault { sequence decisionId reason } } }',
      { id },
    )
  )['verifyDecisions'];

test('decisions as they were made hold', async () => {
  const id = await decided();
  expect(await verify(id)).toEqual({ valid: true, length: 3, fault: null });
  expect(await verify(id, principal('alice', { tenantId: 'two' }))).toBeNull();
});

test('a decision changed in the database is named', async () => {
  const id = await decided();
  const [row] =
    await rig.sql`UPDATE confirm.decision SET rationale = 'not fine' WHERE confirm_id = ${id} AND sequence = 2 RETURNING id`;
  expect(await verify(id)).toEqual({
    valid: false,
    length: 3,
    fault: { sequence: 2, decisionId: row!['id'], reason: 'CONTENT' },
  });
});

test('so is one whose seal was made anew, by the one behind it, and one that was taken away', async () => {
  const id = await decided();
  await rig.sql`DELETE FROM confirm.decision WHERE confirm_id = ${id} AND sequence = 3`;
  expect(await verify(id)).toMatchObject({ valid: false, fault: { sequence: 3, decisionId: null, reason: 'MISSING' } });
  const other = await decided();
  await rig.sql`UPDATE confirm.decision SET previous_hash = repeat('1', 64) WHERE confirm_id = ${other} AND sequence = 2`;
  expect(await verify(other)).toMatchObject({ valid: false, fault: { sequence: 2, reason: 'CONTENT' } });
});
