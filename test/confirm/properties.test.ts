import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { alice, type ConfirmRig, codesOf, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const voters = ['v1', 'v2', 'v3', 'v4', 'v5'];
type Kind = 'SINGLE' | 'AT_LEAST' | 'MAJORITY' | 'UNANIMOUS' | 'WEIGHTED' | 'CONSENSUS';
type Choice = 'APPROVED' | 'REJECTED' | 'ABSTAINED' | 'CONDITIONAL_APPROVAL';

interface Cast {
  readonly voter: number;
  readonly choice: Choice;
}

const scenario = fc.record({
  kind: fc.constantFrom<Kind>('SINGLE', 'AT_LEAST', 'MAJORITY', 'UNANIMOUS', 'WEIGHTED', 'CONSENSUS'),
  weights: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 5, maxLength: 5 }),
  size: fc.integer({ min: 1, max: 5 }),
  steps: fc.integer({ min: 1, max: 2 }),
  casts: fc.array(
    fc.record({
      voter: fc.nat(4),
      choice: fc.constantFrom<Choice>('APPROVED', 'APPROVED', 'REJECTED', 'ABSTAINED', 'CONDITIONAL_APPROVAL'),
    }),
    { minLength: 1, maxLength: 24 },
  ),
  concurrent: fc.boolean(),
});

/**
 * Whether these decisions are what the quorum asks for, worked out from the definition of each kind in whole numbers,
 * without the module's own arithmetic.
 */
function isQuorum(kind: Kind, members: readonly { weight: number; vote: string | null }[]): boolean {
  const sum = (votes: readonly (string | null)[], weighted: boolean) =>
    members.filter(({ vote }) => votes.includes(vote)).reduce((all, { weight }) => all + (weighted ? weight : 1), 0);
  const weighted = kind === 'WEIGHTED';
  const [yes, no, none] = [sum(['approve'], weighted), sum(['reject'], weighted), sum([null], weighted)];
  const all = members.reduce((total, { weight }) => total + (weighted ? weight : 1), 0);
  switch (kind) {
    case 'SINGLE':
      return yes === 1 && no === 0;
    case 'AT_LEAST':
      return yes >= 1;
    case 'MAJORITY':
      return 2 * yes > all;
    case 'UNANIMOUS':
      return yes >= 1 && no === 0 && none === 0;
    case 'WEIGHTED':
    case 'CONSENSUS':
      // Two thirds of what was cast, half of all taking part, whatever those who are silent would have said.
      return 3 * yes >= 2 * (yes + no + none) && yes > no + none && 2 * (all - none) >= all;
    default:
      return kind satisfies never;
  }
}

test('one decision per approver and step; what is approved was approved by its quorum; the chain holds', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async ({ kind, weights, size, steps, casts, concurrent }) => {
      const approvers = voters.slice(0, size).map((subject, index) => ({ subject, weight: weights[index]! }));
      const share = kind === 'WEIGHTED' || kind === 'CONSENSUS';
      const quorum = { kind, ...(share ? { threshold: 2 / 3, minimumParticipation: 0.5 } : {}) };
      const id = await rig.open(alice, {
        workflow: {
          type: 'SEQUENTIAL',
          steps: Array.from({ length: steps }, (_, index) => ({ id: `s${index}`, approvers, quorum })),
        },
      });
      const cast = ({ voter, choice }: Cast) =>
        rig.decide(principal(voters[voter]!), id, choice, { rationale: 'because' });
      const payloads = concurrent ? await Promise.all(casts.map(cast)) : [];
      if (!concurrent) for (const entry of casts) payloads.push(await cast(entry));

      const decisions = (await rig.sql`
        SELECT step_id, approver, vote FROM confirm.decision WHERE confirm_id = ${id} AND vote IS NOT NULL ORDER BY sequence`) as unknown as {
        step_id: string;
        approver: string;
        vote: string;
      }[];
      const made = decisions.map(({ step_id, approver }) => `${step_id}/${approver}`);
      expect(new Set(made).size).toBe(made.length);
      expect(payloads.filter((payload) => codesOf(payload).length === 0)).toHaveLength(made.length);
      for (const code of payloads.flatMap(codesOf))
        expect(['ALREADY_DECIDED', 'NOT_AN_APPROVER', 'STEP_NOT_ACTIVE']).toContain(code);

      const [row] = (await rig.sql`SELECT status, steps FROM confirm.confirm WHERE id = ${id}`) as unknown as [
        { status: string; steps: { id: string; status: string }[] },
      ];
      for (const step of row.steps) {
        const members = approvers.map(({ subject, weight }) => ({
          weight,
          vote: decisions.find(({ step_id, approver }) => step_id === step.id && approver === subject)?.vote ?? null,
        }));
        if (step.status === 'approved') expect(isQuorum(kind, members)).toBe(true);
        if (step.status === 'active') expect(members.some(({ vote }) => vote === null)).toBe(true);
        if (step.status === 'rejected') {
          // Not even if all who are silent had approved.
          const best = members.map((member) => ({ ...member, vote: member.vote ?? 'approve' }));
          expect(
            kind === 'SINGLE'
              ? best.every(({ vote }) => vote !== 'reject') && isQuorum('AT_LEAST', members)
              : isQuorum(kind, best),
          ).toBe(false);
        }
      }
      if (row.status === 'approved') expect(row.steps.every(({ status }) => status === 'approved')).toBe(true);
      const verified = await rig.service.verify('one', id);
      expect(verified).toMatchObject({ valid: true, length: decisions.length });
      const left = await rig.sql`SELECT 1 FROM confirm.approver WHERE confirm_id = ${id} AND state = 'waiting'`;
      expect(left.length > 0).toBe(row.status === 'pending');
    }),
    { numRuns: 60 },
  );
}, 120_000);
