import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '#shared/config.ts';
import { readConfirmLimits } from '../../subgraphs/confirm/limits.ts';
import { assessRisk, levelOf, type RiskFactor, riskLevels, scoreOf } from '../../subgraphs/confirm/risk.ts';
import { alice, bob, type ConfirmRig, codesOf, openConfirmRig } from './rig.ts';

const { riskCutoffs } = readConfirmLimits(readConfig({}));
const factor = (probability: number, impact: RiskFactor['impact']) => ({ factor: 'f', probability, impact });

describe('the risk of factors', () => {
  test('is the chance that not all goes well, each by its probability and impact', () => {
    expect(scoreOf([factor(0.5, 'high')])).toBe(0.375);
    expect(scoreOf([factor(0.5, 'high'), factor(0.5, 'high')])).toBe(0.6094);
    expect(scoreOf([factor(1, 'none'), factor(0, 'critical')])).toBe(0);
    expect(scoreOf([factor(1, 'critical'), factor(0.1, 'low')])).toBe(1);
    expect([0, 0.2999, 0.3, 0.6, 0.8, 0.95, 1].map((score) => levelOf(score, riskCutoffs))).toEqual([
      'none',
      'none',
      'low',
      'medium',
      'high',
      'critical',
      'critical',
    ]);
  });

  test('never falls by one more factor, stays within 0 to 1, and takes them in any order', () => {
    const factors = fc.array(
      fc.record({
        probability: fc.double({ min: 0, max: 1, noNaN: true }),
        impact: fc.constantFrom(...riskLevels),
      }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(factors, factors, (some, more) => {
        const [one, both, turned] = [scoreOf(some), scoreOf([...some, ...more]), scoreOf([...more, ...some])];
        return one >= 0 && both <= 1 && both >= one && Math.abs(both - turned) < 2e-4;
      }),
    );
  });

  test('cut-offs are configured, and refused where they do not rise', () => {
    const of = (text: string) => readConfirmLimits(readConfig({ CONFIRM_RISK_CUTOFFS: text })).riskCutoffs;
    expect(assessRisk({ factors: [factor(0.5, 'high')] }, of('0.1,0.2,0.3,0.4'))?.overall).toBe('high');
    for (const text of [
      '0.1,0.2,0.3',
      '0.3,0.2,0.5,0.6',
      '0.1,0.2,0.3,1.1',
      'a,b,c,d',
      '0,0.1,0.2,0.3',
      '0.1,,0.3,0.4',
    ])
      expect(() => of(text)).toThrow('CONFIRM_RISK_CUTOFFS');
  });
});

describe('what a request says of its risk and impact', () => {
  let rig: ConfirmRig;
  beforeAll(async () => {
    rig = await openConfirmRig({ CONFIRM_DELEGATION_DEPTH: '1', CONFIRM_PARALLEL_APPROVERS: '2' });
  });
  afterAll(() => rig[Symbol.asyncDispose]());

  const risk =
    'riskAssessment { overall score factors { factor probability impact risk mitigation } complianceRequirements }';
  const read = async (id: string) =>
    (
      await rig.ask(
        alice,
        `query ($id: ID!) { confirm(id: $id) { ${risk} impactAssessment { scope businessImpact technicalImpact affectedSystems affectedUsers }
          attachments { name url type sizeBytes } nextDeadlineAt requestedAt steps { status reason maxDelegations } approvers { subject } decisions { ${risk} hash } } }`,
        { id },
      )
    )['confirm']!;
  const assessed = {
    factors: [
      { factor: 'supplier fails', probability: 0.5, impact: 'HIGH', mitigation: 'a second one' },
      { factor: 'rain', probability: 0.5, impact: 'HIGH' },
    ],
    complianceRequirements: ['gdpr'],
  };

  test('is stored with what follows from it, and with decisions sealed', async () => {
    const id = await rig.open(alice, {
      riskAssessment: assessed,
      impactAssessment: { scope: 'PROJECT', businessImpact: 'LOW', affectedSystems: ['billing'] },
      attachments: [{ name: 'plan', url: 'https://files.example/plan.pdf', sizeBytes: 12 }],
    });
    await rig.decide(bob, id, 'APPROVED', { riskAssessment: { overall: 'LOW' } });
    expect(await read(id)).toMatchObject({
      riskAssessment: {
        overall: 'MEDIUM',
        score: 0.6094,
        factors: [
          { factor: 'supplier fails', probability: 0.5, impact: 'HIGH', risk: 0.375, mitigation: 'a second one' },
          { factor: 'rain', mitigation: null },
        ],
        complianceRequirements: ['gdpr'],
      },
      impactAssessment: {
        scope: 'PROJECT',
        businessImpact: 'LOW',
        technicalImpact: null,
        affectedSystems: ['billing'],
        affectedUsers: [],
      },
      attachments: [{ name: 'plan', url: 'https://files.example/plan.pdf', type: null, sizeBytes: 12 }],
      decisions: [{ riskAssessment: { overall: 'LOW', score: null, factors: [] } }],
    });
    const verified = await rig.ask(alice, 'query ($id: ID!) { verifyDecisions(confirmId: $id) { valid } }', { id });
    expect(verified).toEqual({ verifyDecisions: { valid: true } });
    const updates = await rig.replay(alice, 'approvalUpdates', { confirmId: id });
    expect(updates.at(-1)!['confirm']).toMatchObject({
      riskAssessment: { overall: 'MEDIUM' },
      impactAssessment: { scope: 'PROJECT' },
      attachments: [{ name: 'plan' }],
    });
  });

  test('is looked at by conditions and automated checks', async () => {
    const workflow = {
      type: 'CONDITIONAL',
      steps: [
        {
          id: 'check',
          kind: 'AUTOMATED_COMPLIANCE_CHECK',
          check:
            "environment.riskScore < 0.7 and environment.compliance contains 'gdpr' and environment.impact.scope == 'project'",
        },
        { id: 'board', condition: "environment.risk == 'critical'", approvers: [{ subject: 'carol' }] },
        { id: 'lead', condition: "environment.risk == 'medium'", approvers: [{ subject: 'bob' }] },
      ],
    };
    const id = await rig.open(alice, { riskAssessment: assessed, impactAssessment: { scope: 'PROJECT' }, workflow });
    expect((await read(id))['steps']).toMatchObject([
      { status: 'APPROVED' },
      { status: 'SKIPPED' },
      { status: 'ACTIVE' },
    ]);
  });

  test('is refused where it makes no sense', async () => {
    const codes = async (input: object) => codesOf(await rig.create(alice, { ...input }));
    for (const input of [
      { riskAssessment: { ...assessed, overall: 'LOW' } },
      { riskAssessment: { factors: [{ factor: 'f', probability: 1.2, impact: 'LOW' }] } },
      { riskAssessment: { factors: [{ factor: '', probability: 0.2, impact: 'LOW' }] } },
      { attachments: [{ name: 'x', url: 'javascript:alert(1)' }] },
      { attachments: [{ name: 'x', url: 'file.pdf' }] },
      { notifications: { reminderHours: [4, 2] } },
      { notifications: { reminderHours: [721] } },
      { notifications: { settings: { reminderHours: [1] } } },
      { notifications: { settings: [] } },
      { subject: { currency: 'euro' } },
      { subject: { attributes: { amount: 3 } } },
      { subject: { attributes: [] } },
    ])
      expect([input, await codes(input)]).toEqual([input, ['VALIDATION_FAILED']]);
  });

  test('says when who has not decided is reminded', async () => {
    const hour = 3_600_000;
    const id = await rig.open(alice, { notifications: { reminderHours: [0.5, 2], settings: { channel: 'mail' } } });
    const { nextDeadlineAt, requestedAt } = await read(id);
    expect(Date.parse(String(nextDeadlineAt)) - Date.parse(String(requestedAt))).toBe(hour / 2);
    const process = async (hours: number) =>
      (await rig.service.escalations.process({ tenantId: 'one', nowMs: Date.now() + hours * hour, limit: 1_000 }))
        .reminded;
    expect(await process(0.51)).toContain(id);
    expect(await process(1.9)).not.toContain(id);
    expect(await process(2.1)).toContain(id);
    expect(await process(80)).not.toContain(id);
    const never = await rig.open(alice, { notifications: { reminderHours: [] } });
    expect(await process(100)).not.toContain(never);
  });

  test('limits of delegation and of holders asked are configured', async () => {
    const id = await rig.open(alice);
    expect((await read(id))['steps']).toMatchObject([{ maxDelegations: 1 }]);
    expect(codesOf(await rig.decide(bob, id, 'DELEGATED', { delegateTo: 'carol' }))).toEqual([]);
    const again = await rig.mutate({ ...bob, subject: 'carol' }, 'processApproval', 'ApprovalDecisionInput', {
      confirmId: id,
      decision: 'DELEGATED',
      delegateTo: 'dave',
    });
    expect(codesOf(again)).toEqual(['DELEGATION_FORBIDDEN']);
    const step = { id: 'one', approvers: [{ subject: 'bob' }], maxDelegations: 2 };
    expect(codesOf(await rig.create(alice, { workflow: { type: 'PARALLEL', steps: [step] } }))).toEqual([
      'VALIDATION_FAILED',
    ]);
    rig.roles.current = new Map([['lead', ['l1', 'l2', 'l3']]]);
    const asked = await rig.open(alice, { approvers: [{ role: 'lead' }] });
    expect((await read(asked))['approvers']).toHaveLength(2);
  });
});
