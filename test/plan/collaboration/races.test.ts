import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { judge, tallyVotes } from '../../../subgraphs/plan/collaboration/tally.ts';
import { principal } from '../rig.ts';
import { codesOf, openRoom, type Room } from './room.ts';

let room: Room;
beforeAll(async () => {
  room = await openRoom();
});
afterAll(() => room[Symbol.asyncDispose]());

const voter = fc.record({
  vote: fc.constantFrom('APPROVE' as const, 'APPROVE' as const, 'REJECT' as const, 'ABSTAIN' as const),
  thousandths: fc.integer({ min: 1, max: 5_000 }),
  /** How often it sends its vote at the same time. */
  sends: fc.integer({ min: 1, max: 3 }),
});

test('however many votes race, sums are exact and a contribution is applied exactly once, or never', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(voter, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 5_000, max: 10_000 }),
      async (voters, threshold) => {
        const { planId, sessionId, ids } = await room.meet({
          participants: voters.map(({ thousandths }, at) => ({ subject: `v${at}`, votingWeight: thousandths / 1_000 })),
          consensusThreshold: threshold / 10_000,
          quorum: 0,
        });
        const change = { addSteps: [{ description: 'raced' }], removeStepIds: [ids[2]] };
        const { contribution } = await room.contribute(principal('v0'), sessionId, change);
        const answers = await Promise.all(
          voters.flatMap(({ vote, sends }, at) =>
            Array.from({ length: sends }, () => room.vote(principal(`v${at}`), contribution!['id'], vote)),
          ),
        );
        const [row] =
          await room.sql`SELECT status, applied_version FROM plan.contribution WHERE id = ${String(contribution!['id'])}`;
        const votes =
          await room.sql`SELECT subject, vote, weight FROM plan.contribution_vote WHERE contribution_id = ${String(contribution!['id'])}`;
        const counted = votes.map(({ subject, vote, weight }) => ({ subject, vote, weight }));
        // Each voter once, with the weight it has; every other answer is a refusal.
        for (const { subject, vote, weight } of counted)
          expect(voters[Number(String(subject).slice(1))]).toMatchObject({ vote, thousandths: weight });
        expect(new Set(counted.map(({ subject }) => subject)).size).toBe(counted.length);
        expect(answers.filter((answer) => codesOf(answer).length === 0)).toHaveLength(counted.length);
        const total = voters.reduce((sum, { thousandths }) => sum + thousandths, 0);
        const verdict = judge(tallyVotes(total, counted as never), { threshold, quorum: 0 }, false);
        expect(verdict).not.toBeNull();
        expect(row!['status']).toBe(verdict!.accepted ? 'APPLIED' : 'REJECTED');
        // What all votes would have decided: closing early is no other end.
        const all = voters.map(({ vote, thousandths: weight }) => ({ vote, weight }));
        expect(judge(tallyVotes(total, all), { threshold, quorum: 0 }, true)!.accepted).toBe(verdict!.accepted);
        const plan = await room.plan(planId);
        const raced = plan['steps']!.map((step) => String(step['description'])).filter((text) => text === 'raced');
        expect([Number(plan['version']), raced.length]).toEqual(verdict!.accepted ? [2, 1] : [1, 0]);
        const told = room.told(sessionId);
        expect(told.filter((type) => type === 'contribution.voted')).toHaveLength(counted.length);
        expect(told.filter((type) => /applied|rejected/.test(type))).toHaveLength(1);
        await room.close(principal('alice'), sessionId);
      },
    ),
    { numRuns: 20 },
  );
});

test('of contributions that are decided at the same time one is applied and the others are to be rebased', async () => {
  const { planId, sessionId, ids } = await room.meet({ participants: [{ subject: 'alice' }, { subject: 'bob' }] });
  const made = await Promise.all(
    ids.map((stepId) =>
      room.contribute(principal('bob'), sessionId, { updateSteps: [{ stepId, patch: { name: 'mine' } }] }),
    ),
  );
  const contributionIds = made.map((payload) => payload['contribution']!['id']);
  await Promise.all(contributionIds.map((id) => room.vote(principal('bob'), id)));
  const ends = await Promise.all(contributionIds.map((id) => room.vote(principal('alice'), id)));
  expect(ends.map(({ contribution }) => String(contribution!['status'])).sort()).toEqual([
    'APPLIED',
    'CONFLICTED',
    'CONFLICTED',
  ]);
  expect((await room.plan(planId))['version']).toBe(2);
});
