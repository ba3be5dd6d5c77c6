import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';
import type { Json } from './rig.ts';

const errors = 'userErrors { code }';
const people = ['owner', 'guest', 'other', 'judge', 'deputy'] as const;
type Person = (typeof people)[number];

const seenText = `query ($id: ID!, $contextId: ID!, $planId: ID!) {
  confirm(id: $id) { title context { id } decisions { outcome } auditTrail { totalCount } }
  confirms { nodes { id } totalCount }
  ofContext: confirms(filter: { contextId: $contextId }) { nodes { id } totalCount }
  search: searchDecisions(query: "secret") { nodes { id confirm { id } } totalCount }
  decided: searchDecisions(filter: { confirmId: $id }) { nodes { id } }
  workflow: approvalWorkflow(confirmId: $id) { progress }
  verified: verifyDecisions(confirmId: $id) { confirmId }
  statistics: confirmStatistics { total byStatus { key count } }
  plan(planId: $planId) { approvals: confirms { nodes { id } totalCount } }
}`;

describe.each(modes)('confirms of private contexts, %s', (mode) => {
  let platform: Platform;
  const tokens = {} as Record<Person, string>;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    for (const subject of people) tokens[subject] = await platform.token({ tenant: 'shared', subject });
  });
  afterAll(() => platform.close());

  async function ask(who: Person, document: string, variables: Readonly<Record<string, unknown>> = {}) {
    const answer = await platform.query<Record<string, unknown>>(document, variables, { token: tokens[who] });
    expect(answer.errors).toEqual([]);
    return answer.data as unknown as Json;
  }
  const field = async (who: Person, document: string, variables?: Readonly<Record<string, unknown>>) =>
    Object.values(await ask(who, document, variables))[0] as Json;
  const codes = (payload: Json) => payload['userErrors']!.map(({ code }) => String(code));
  const done = async (who: Person, document: string, variables: Readonly<Record<string, unknown>>) => {
    const payload = await field(who, document, variables);
    expect(codes(payload)).toEqual([]);
    return payload;
  };

  async function createContext(visibility: 'TENANT' | 'PRIVATE'): Promise<string> {
    const created = await done(
      'owner',
      `mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } ${errors} } }`,
      { input: { title: 'A room', root: { domain: 'd', environment: 'e' }, accessControl: { visibility } } },
    );
    return String(created['context']!['id']);
  }
  const createPlan = async (contextId: string) =>
    String(
      (
        await done(
          'owner',
          `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } ${errors} } }`,
          {
            input: { contextId, title: 'A plan', objective: 'To be done', steps: [{ description: 'first' }] },
          },
        )
      )['plan']!['id'],
    );
  const createApproval = (who: Person, targetId: string, more: object = {}) =>
    field(
      who,
      `mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { confirm { id } ${errors} } }`,
      {
        input: {
          targetType: 'CONTEXT',
          targetId,
          confirmationType: 'RISK_ACCEPTANCE',
          title: 'A secret risk',
          approvers: [{ subject: 'judge' }],
          quorum: { kind: 'AT_LEAST', required: 1 },
          ...more,
        },
      },
    );
  const idOf = (payload: Json) => {
    expect(codes(payload)).toEqual([]);
    return String(payload['confirm']!['id']);
  };
  const settled = <Value>(read: () => Promise<Value>, expected: Value) =>
    expect.poll(read, { timeout: 10_000, interval: 50 }).toEqual(expected);

  interface Room {
    readonly contextId: string;
    readonly planId: string;
    readonly confirmId: string;
  }

  /** What of a confirm somebody sees, by each way in. */
  async function see(who: Person, { contextId, planId, confirmId }: Room) {
    const data = await ask(who, seenText, { id: confirmId, contextId, planId });
    const has = (connection: Json) => connection['nodes']!.map(({ id }) => String(id)).includes(confirmId);
    return {
      confirm: data['confirm'] !== null,
      confirms: has(data['confirms']!),
      ofContext: [has(data['ofContext']!), Number(data['ofContext']!['totalCount'])],
      search: data['search']!['nodes']!.filter(({ confirm }) => String(confirm!['id']) === confirmId).length > 0,
      decided: data['decided']!['nodes']!.length > 0,
      workflow: data['workflow'] !== null,
      verified: data['verified'] !== null,
    };
  }
  const all = {
    confirm: true,
    confirms: true,
    ofContext: [true, 1] as (boolean | number)[],
    search: true,
    decided: true,
    workflow: true,
    verified: true,
  };
  const nothing: typeof all = {
    confirm: false,
    confirms: false,
    ofContext: [false, 0],
    search: false,
    decided: false,
    workflow: false,
    verified: false,
  };

  const hide = (contextId: string) =>
    done(
      'owner',
      `mutation ($id: ID!) { updateContext(contextId: $id, patch: { accessControl: { visibility: PRIVATE } }) { ${errors} } }`,
      { id: contextId },
    );

  test('are hidden from all but its circle and who has a part in them: reads, lists, figures, changes, streams', async () => {
    const contextId = await createContext('TENANT');
    const planId = await createPlan(contextId);
    const confirmId = idOf(
      await createApproval('owner', planId, {
        targetType: 'PLAN',
        approvers: [{ subject: 'judge' }, { subject: 'deputy' }],
        quorum: { kind: 'AT_LEAST', required: 2 },
      }),
    );
    const room = { contextId, planId, confirmId };
    await done('judge', `mutation ($id: ID!) { approveConfirm(confirmId: $id, rationale: "fine") { ${errors} } }`, {
      id: confirmId,
    });
    for (let round = 0; round < 3; round += 1) expect(await see('other', room)).toEqual(all);
    const total = async (who: Person) => Number((await field(who, 'query { confirmStatistics { total } }'))['total']);
    const [before, own] = [await total('other'), await total('owner')];
    const follow = (who: Person) =>
      subscribe<{ approvalUpdates: { type: string } }>({
        url: platform.url,
        query: 'subscription ($id: ID!) { approvalUpdates(confirmId: $id) { type } }',
        variables: { id: confirmId },
        token: tokens[who],
      });
    const [outside, inside, deciding] = [follow('other'), follow('owner'), follow('judge')];
    await new Promise((resolve) => setTimeout(resolve, 500));

    await hide(contextId);
    await settled(() => see('other', room), nothing);
    for (let round = 0; round < 3; round += 1) {
      expect(await see('other', room)).toEqual(nothing);
      // The owner, who asked, and who is to decide it, though no participant.
      for (const who of ['owner', 'judge', 'deputy'] as const) expect(await see(who, room)).toMatchObject({ ...all });
    }
    expect([await total('other'), await total('owner')]).toEqual([before - 1, own]);

    const input = { confirmId, decision: 'APPROVED' };
    for (const [document, variables] of [
      [`mutation ($id: ID!) { approveConfirm(confirmId: $id) { ${errors} } }`, {}],
      [`mutation ($id: ID!) { rejectConfirm(confirmId: $id, reason: "no") { ${errors} } }`, {}],
      [`mutation ($id: ID!) { delegateConfirm(confirmId: $id, delegateTo: "guest") { ${errors} } }`, {}],
      [`mutation ($id: ID!) { cancelConfirm(confirmId: $id) { ${errors} } }`, {}],
      [`mutation ($id: ID!) { archiveConfirm(confirmId: $id) { ${errors} } }`, {}],
      [`mutation ($id: ID!) { submitApproval(confirmId: $id) { ${errors} } }`, {}],
      [`mutation ($id: ID!) { escalateApproval(confirmId: $id, reason: "late") { ${errors} } }`, {}],
      [`mutation ($id: ID!) { castVote(input: { consensusId: $id, optionId: "a" }) { ${errors} } }`, {}],
      [`mutation ($id: ID!) { updateApproval(input: { confirmId: $id, title: "mine" }) { ${errors} } }`, {}],
      [`mutation ($id: ID!) { resubmitApproval(input: { confirmId: $id }) { ${errors} } }`, {}],
      [
        `mutation ($id: ID!) { settleCondition(input: { confirmId: $id, conditionId: $id, status: FULFILLED }) { ${errors} } }`,
        {},
      ],
      [`mutation ($input: ApprovalDecisionInput!) { processApproval(input: $input) { ${errors} } }`, { input }],
    ] as const)
      expect([document, codes(await field('other', document, { id: confirmId, ...variables }))]).toEqual([
        document,
        ['NOT_FOUND'],
      ]);
    const batch = await field(
      'other',
      `mutation ($input: ApprovalDecisionInput!) { processApprovals(inputs: [$input]) { results { ${errors} } } }`,
      { input },
    );
    expect(batch['results']!.map((result) => codes(result))).toEqual([['NOT_FOUND']]);
    expect(codes(await createApproval('other', contextId))).toEqual(['TARGET_NOT_FOUND']);
    const refused = follow('other');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(JSON.stringify(refused.errors)).toContain('NOT_FOUND');

    // A part that is passed on opens it to who has it now.
    expect(await see('guest', room)).toEqual(nothing);
    await done('deputy', `mutation ($id: ID!) { delegateConfirm(confirmId: $id, delegateTo: "guest") { ${errors} } }`, {
      id: confirmId,
    });
    await settled(() => see('guest', room), all);
    expect(await see('deputy', room)).toEqual(all);
    const inbox = await field('guest', 'query { approvalsInbox { nodes { confirm { id title } } } }');
    expect(inbox['nodes']!.map(({ confirm }) => String(confirm!['id']))).toContain(confirmId);
    await done('guest', `mutation ($id: ID!) { approveConfirm(confirmId: $id) { ${errors} } }`, { id: confirmId });
    const resolved = (stream: typeof inside) =>
      stream.payloads.filter((entry) => entry.approvalUpdates.type === 'confirm.resolved').length;
    await inside.until(() => resolved(inside) === 1);
    await deciding.until(() => resolved(deciding) === 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([outside.payloads, inside.errors, deciding.errors]).toEqual([[], [], []]);
    await Promise.all([outside.close(), inside.close(), deciding.close(), refused.close()]);
  });

  /** The ids in an export of confirms, and what else its rows say of one. */
  async function exported(who: Person, query = '', format = 'ndjson') {
    const answer = await fetch(`${platform.url}/v1/export/confirm/confirms?format=${format}${query}`, {
      headers: { authorization: `Bearer ${tokens[who]}` },
    });
    expect(answer.status).toBe(200);
    return answer.text();
  }

  test('are not exported to who may not see them, in whatever form', async () => {
    const contextId = await createContext('TENANT');
    const confirmId = idOf(await createApproval('owner', contextId));
    const openId = idOf(await createApproval('owner', await createContext('TENANT'), { title: 'An open risk' }));
    const formats = ['ndjson', 'csv', 'copy'];
    for (const format of formats) expect(await exported('other', '', format)).toContain(confirmId);
    await hide(contextId);
    await settled(async () => (await exported('other')).includes(confirmId), false);
    for (const format of formats) {
      for (const who of ['other', 'guest'] as const) {
        const rows = await exported(who, '', format);
        expect([format, rows.includes(confirmId), rows.includes(contextId)]).toEqual([format, false, false]);
        expect(rows).toContain(openId);
        expect(await exported(who, `&contextId=${contextId}`, format)).not.toContain('A secret risk');
      }
      // The owner, and who is to decide it, though no participant.
      for (const who of ['owner', 'judge'] as const) expect(await exported(who, '', format)).toContain(confirmId);
    }
    for (const format of ['binary', 'parquet'])
      expect((await exported('other', `&contextId=${contextId}`, format)).includes('A secret risk')).toBe(false);
    const [row] = (await exported('judge', `&contextId=${contextId}`)).split('\n').slice(0, -1);
    expect(JSON.parse(row!)).toMatchObject({
      ...{ id: confirmId, context_id: contextId, target_type: 'context', target_id: contextId, status: 'pending' },
      ...{ title: 'A secret risk', requested_by: 'owner', decision_count: 0, version: 1 },
    });
    await done('owner', `mutation ($input: AddParticipantInput!) { addParticipant(input: $input) { ${errors} } }`, {
      input: { contextId, agentId: 'guest' },
    });
    await settled(async () => (await exported('guest')).includes(confirmId), true);
    expect(await exported('other')).not.toContain(confirmId);
    const stranger = await platform.token({ tenant: 'elsewhere', subject: 'owner', roles: ['admin'] });
    const answer = await fetch(`${platform.url}/v1/export/confirm/confirms`, {
      headers: { authorization: `Bearer ${stranger}` },
    });
    expect(await answer.text()).not.toContain(confirmId);
  });

  test('that are there from the start are seen by who joins, and votes by who takes part in them', async () => {
    const contextId = await createContext('PRIVATE');
    const planId = await createPlan(contextId);
    const confirmId = idOf(await createApproval('owner', contextId));
    const room = { contextId, planId, confirmId };
    const seen = 'query ($id: ID!) { confirm(id: $id) { title } }';
    expect(await field('other', seen, { id: confirmId })).toBeNull();
    expect(await field('guest', seen, { id: confirmId })).toBeNull();
    expect(await field('judge', seen, { id: confirmId })).toMatchObject({ title: 'A secret risk' });
    expect((await see('owner', room)).ofContext).toEqual([true, 1]);
    await done('owner', `mutation ($input: AddParticipantInput!) { addParticipant(input: $input) { ${errors} } }`, {
      input: { contextId, agentId: 'guest' },
    });
    await settled(() => field('guest', seen, { id: confirmId }), { title: 'A secret risk' } as unknown as Json);
    expect(await field('other', seen, { id: confirmId })).toBeNull();

    const vote = await done(
      'owner',
      `mutation ($input: CreateConsensusProcessInput!) { createConsensusProcess(input: $input) { consensus { id } ${errors} } }`,
      {
        input: {
          ...{ targetType: 'CONTEXT', targetId: contextId, title: 'Which way?' },
          options: [
            { id: 'a', label: 'a' },
            { id: 'b', label: 'b' },
          ],
          participants: [{ subject: 'judge' }],
          rules: { algorithm: 'SIMPLE_MAJORITY' },
        },
      },
    );
    const voteId = String(vote['consensus']!['id']);
    const read = 'query ($id: ID!) { consensusProcess(consensusId: $id) { title } }';
    expect(await field('other', read, { id: voteId })).toBeNull();
    expect(await field('judge', read, { id: voteId })).toMatchObject({ title: 'Which way?' });
    const follow = (who: Person) =>
      subscribe<{ consensusUpdates: { type: string } }>({
        url: platform.url,
        query: 'subscription ($id: ID!) { consensusUpdates(consensusId: $id) { type } }',
        variables: { id: voteId },
        token: tokens[who],
      });
    const [outside, inside] = [follow('other'), follow('judge')];
    await new Promise((resolve) => setTimeout(resolve, 500));
    await done('judge', `mutation ($id: ID!) { castVote(input: { consensusId: $id, optionId: "a" }) { ${errors} } }`, {
      id: voteId,
    });
    await inside.until((payloads) => payloads.length > 0);
    expect(JSON.stringify(outside.errors)).toContain('NOT_FOUND');
    expect(outside.payloads).toEqual([]);
    await Promise.all([outside.close(), inside.close()]);
  });
});
