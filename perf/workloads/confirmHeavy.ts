import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { createSql } from '#shared/sql.ts';
import type { Random } from '../load/random.ts';
import { type CreateWorkload, readPath, type ServiceOperation, type Verdict } from '../load/workload.ts';
import { approverName, type ConfirmSeed, confirmId, countOf, escalationLevels, nthOf } from '../seeds/confirm.ts';
import { contextId, perfTenant } from '../seeds/context.ts';

export interface ConfirmHeavyParams {
  readonly operation: 'approval_workflow' | 'escalation_processing';
  readonly seed: ConfirmSeed;
  readonly tokens: readonly string[];
  readonly admin: string;
  readonly url: string;
  readonly databaseUrl: string;
}

const stages = 3;
const approversPerStage = 2;
const batch = 100;
/** Of the workflow whose start alone is timed beside: ranks of ten steps, each with a condition and its approvers. */
const ranks = 10;
const stepsPerRank = 10;
/** One of so many workflows is that one. */
const startsEvery = 10;
/** As long as the platform's own timers may hold the late ones they took. */
const timersMs = 2_000;
const open = `mutation Open($input: CreateApprovalInput!) {
  createApproval(input: $input) { confirm { id } nextApprovers { subject stepId } userErrors { code message } }
}`;
const decide = `mutation Decide($input: ApprovalDecisionInput!) {
  processApproval(input: $input) { confirm { status } userErrors { code message } }
}`;
const escalate = `mutation Escalate($limit: Int!) {
  processEscalations(limit: $limit) { examined escalated { confirmId level } userErrors { code message } }
}`;

/** Operations of several requests, or with something to prepare: timed as a whole. */
export const createWorkload: CreateWorkload<ConfirmHeavyParams> = (params) => {
  const { seed, tokens, admin, url } = params;
  const late = countOf('late', seed);
  const sql = createSql(params.databaseUrl, { applicationName: 'perf-late', max: 1 });
  const facts = { runs: 0, escalated: 0 };
  let made = 0;

  async function ask(query: string, variables: object, token: string, field: string): Promise<unknown> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as { data?: unknown; errors?: unknown };
    const payload = readPath(data, field);
    const userErrors = readPath(payload, 'userErrors') as unknown[] | undefined;
    if (errors !== undefined || (userErrors?.length ?? 0) > 0)
      throw new Error(`${field}: ${JSON.stringify(errors ?? userErrors).slice(0, 300)}`);
    return payload;
  }

  /** From the request until the last of three stages is decided, the approvers answering at once. */
  async function runWorkflow(random: Random): Promise<Verdict> {
    const first = random.integer(seed.subjects);
    const nameAt = (place: number) => (first + 1 + place) % seed.subjects;
    const stepAt = (stage: number) => ({
      id: `stage-${stage}`,
      quorum: { kind: 'UNANIMOUS' },
      approvers: Array.from({ length: approversPerStage }, (_, place) => ({
        subject: approverName(nameAt(stage * approversPerStage + place)),
      })),
    });
    const input = {
      targetType: 'OTHER',
      targetId: randomUUID(),
      contextId: contextId(random.integer(seed.contexts)),
      confirmationType: 'MILESTONE_CONFIRMATION',
      title: 'Three stages',
      workflow: { type: 'SEQUENTIAL', steps: Array.from({ length: stages }, (_, stage) => stepAt(stage)) },
      idempotencyKey: randomUUID(),
    };
    const opened = await ask(open, { input }, tokens[first]!, 'createApproval');
    const id = String(readPath(opened, 'confirm', 'id'));
    let statuses: unknown[] = [];
    for (let stage = 0; stage < stages; stage += 1) {
      const answers = Array.from({ length: approversPerStage }, (_, place) =>
        ask(
          decide,
          { input: { confirmId: id, stepId: `stage-${stage}`, decision: 'APPROVED', idempotencyKey: randomUUID() } },
          tokens[nameAt(stage * approversPerStage + place)]!,
          'processApproval',
        ),
      );
      statuses = (await Promise.all(answers)).map((answer) => readPath(answer, 'confirm', 'status'));
    }
    facts.runs += 1;
    return statuses.includes('APPROVED') || `after all stages the workflow is ${statuses.join(', ')}`;
  }

  /** The start of a conditional workflow of a hundred steps: compiled, its conditions looked at, all of it routed. */
  async function startLarge(random: Random): Promise<Verdict> {
    const first = random.integer(seed.subjects);
    const steps = Array.from({ length: ranks * stepsPerRank }, (_, at) => {
      const rank = Math.floor(at / stepsPerRank);
      const before = Array.from({ length: stepsPerRank }, (_none, place) => `step-${rank - 1}-${place}`);
      return {
        id: `step-${rank}-${at % stepsPerRank}`,
        ...(rank === 0 ? {} : { dependsOn: before }),
        condition: `resource.amount > ${(at % stepsPerRank) * 100}`,
        approvers: [{ subject: approverName((first + 1 + at) % seed.subjects) }],
      };
    });
    const input = {
      ...{ targetType: 'OTHER', targetId: randomUUID(), contextId: contextId(random.integer(seed.contexts)) },
      ...{ confirmationType: 'MILESTONE_CONFIRMATION', title: 'A hundred steps', subject: { amount: 550 } },
      ...{ workflow: { type: 'CONDITIONAL', steps }, idempotencyKey: randomUUID() },
    };
    const opened = await ask(open, { input }, tokens[first]!, 'createApproval');
    const next = readPath(opened, 'nextApprovers') as readonly unknown[];
    // Six of the first rank's ten conditions hold.
    return next.length === 6 || `expected six approvers to be next, got ${next.length}`;
  }

  /** Lets the time of a hundred approvals be over, and has them escalated. */
  async function processEscalations(): Promise<Verdict> {
    const ids = Array.from({ length: batch }, (_, index) => confirmId(nthOf('late', (made + index) % late)));
    if (made >= late * escalationLevels) return 'the data set has too few approvals to be late for this load';
    made += batch;
    await sql.unsafe(
      `UPDATE confirm.confirm SET next_deadline_at = now() - interval '1 second', steps = jsonb_set(steps, '{0,dueAt}', '"2026-01-01T00:00:00.000Z"')
       WHERE tenant_id = $1 AND id = ANY($2::uuid[])`,
      [perfTenant, ids],
      { prepare: true },
    );
    const report = await ask(escalate, { limit: batch }, admin, 'processEscalations');
    const escalated = readPath(report, 'escalated') as readonly unknown[];
    facts.runs += 1;
    facts.escalated += escalated.length;
    if (readPath(report, 'examined') !== 0) return true;
    // The platform's own timers were quicker, with all of them.
    return untilNoneIsLate(ids);
  }

  async function untilNoneIsLate(ids: readonly string[]): Promise<Verdict> {
    const giveUpAt = performance.now() + timersMs;
    for (;;) {
      const [row] = await sql<{ left: number }[]>`
        SELECT count(*)::int AS left FROM confirm.confirm
        WHERE tenant_id = ${perfTenant} AND id = ANY(${ids}::uuid[]) AND next_deadline_at <= now()`;
      if (row!.left === 0) return true;
      if (performance.now() > giveUpAt) return `${row!.left} late ones were neither examined nor escalated`;
      await setTimeout(20);
    }
  }

  const operations: Readonly<Record<typeof params.operation, readonly ServiceOperation[]>> = {
    approval_workflow: [
      { name: 'approval_workflow', weight: startsEvery - 1, call: runWorkflow },
      { name: 'start of a hundred steps', weight: 1, call: startLarge },
    ],
    escalation_processing: [{ name: 'escalation_processing', weight: 1, call: processEscalations }],
  };
  return { operations: operations[params.operation], facts: () => facts, close: () => sql.end({ timeout: 5 }) };
};
