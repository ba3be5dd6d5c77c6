import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Platform, sharePlatform } from '../../support/platform.ts';
import { subscribe } from '../../support/subscribe.ts';
import type { Json } from '../rig.ts';

const errors = 'userErrors { code message }';
const people = ['host', 'guest', 'other'] as const;
type Person = (typeof people)[number];

let platform: Platform;
const tokens = {} as Record<Person, string>;
beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  for (const subject of people) tokens[subject] = await platform.token({ tenant: 'shared', subject });
});
afterAll(() => platform.close());

async function field(who: Person, document: string, variables: Readonly<Record<string, unknown>> = {}) {
  const answer = await platform.query<Record<string, unknown>>(document, variables, { token: tokens[who] });
  expect(answer.errors).toEqual([]);
  return Object.values(answer.data as unknown as Json)[0] as Json;
}

async function openSession(timeLimitMs: number, visibility: 'PRIVATE' | 'TENANT') {
  const { context } = await field(
    'host',
    `mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } ${errors} } }`,
    {
      input: {
        title: `planning ${visibility} ${timeLimitMs}`,
        root: { domain: 'd', environment: 'e' },
        accessControl: { visibility },
      },
    },
  );
  const { plan } = await field(
    'host',
    `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } ${errors} } }`,
    {
      input: { contextId: context!['id'], title: 'A plan', objective: 'To be done', steps: [{ description: 'first' }] },
    },
  );
  const { session } = await field(
    'host',
    `mutation ($input: StartPlanSessionInput!) { startPlanSession(input: $input) { session { id } ${errors} } }`,
    {
      input: {
        planId: plan!['id'],
        participants: [{ subject: 'host', votingWeight: 3 }, { subject: 'guest' }],
        consensusThreshold: 0.75,
        timeLimitMs,
      },
    },
  );
  return { planId: String(plan!['id']), sessionId: String(session!['id']) };
}

const contribute = (who: Person, sessionId: string, description: string, planVersion = 1) =>
  field(
    who,
    `mutation ($input: ContributeToPlanInput!) { contributeToPlan(input: $input) { contribution { id } ${errors} } }`,
    { input: { sessionId, planVersion, change: { addSteps: [{ description }] } } },
  );
const vote = (who: Person, id: unknown) =>
  field(
    who,
    `mutation ($id: ID!) { voteOnContribution(contributionId: $id, vote: APPROVE) { contribution { status } ${errors} } }`,
    { id },
  );

interface Update {
  readonly cursor: string;
  readonly sequence: number;
  readonly type: string;
  readonly contribution: Readonly<Record<string, unknown>> | null;
}

test('a session is followed across a cut, and ends by its timer when nobody is there', async () => {
  const { planId, sessionId } = await openSession(8_000, 'TENANT');
  const follow = (after: string | null) =>
    subscribe<Record<string, Update>>({
      url: platform.url,
      query:
        'subscription ($id: ID!, $after: String) { planSessionUpdates(sessionId: $id, after: $after) { cursor sequence type contribution { id contributionId status planVersion rationale change { addSteps { stepId fields name description durationMs } updateSteps { stepId fields durationMs name } removeStepIds addDependencies { id sourceId targetId type criticality } removeDependencyIds } before { totalSteps } after { totalSteps } tally { approving undecided } votes { subject } session { id } } vote { subject vote votingWeight castAt } session { id status participants { subject votingWeight } contributions { id } } } }',
      variables: { id: sessionId, after },
      token: tokens.guest,
    });
  const before = follow(null);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const first = (await contribute('guest', sessionId, 'second'))['contribution']!['id'];
  await before.until((payloads) => payloads.length > 0, 20_000);
  const seen = before.payloads.map((entry) => entry['planSessionUpdates']!);
  await before.close();
  // Nobody listens while the vote is taken and the time runs out.
  expect((await vote('host', first))['contribution']!['status']).toBe('APPLIED');
  await contribute('guest', sessionId, 'third', 2);
  const after = follow(seen.at(-1)!.cursor);
  await after.until(
    (payloads) => payloads.some((entry) => entry['planSessionUpdates']!.type === 'plan.session.timedout'),
    30_000,
  );
  const rest = after.payloads.map((entry) => entry['planSessionUpdates']!);
  expect(after.errors).toEqual([]);
  await after.close();
  expect([...seen, ...rest].map(({ sequence }) => sequence)).toEqual([2, 3, 4, 5, 6, 7]);
  const told = [...seen, ...rest].flatMap(({ contribution }) => (contribution === null ? [] : [contribution]));
  expect(told[0]).toMatchObject({
    ...{ id: first, contributionId: first, status: 'OPEN', planVersion: 1, session: { id: sessionId } },
    ...{ before: { totalSteps: 1 }, after: { totalSteps: 2 }, votes: [], tally: { approving: 0 } },
    change: { addSteps: [{ fields: ['description'], description: 'second' }], updateSteps: [], addDependencies: [] },
  });
  expect(told.map(({ status }) => status)).toEqual(['OPEN', 'OPEN', 'APPLIED', 'OPEN', 'REJECTED']);
  const asked =
    'query ($id: ID!) { planContribution(contributionId: $id) { status votes { subject } session { id } } }';
  expect(await field('guest', asked, { id: first })).toEqual({
    ...{ status: 'APPLIED', votes: [{ subject: 'host' }], session: { id: sessionId } },
  });
  expect(rest.map(({ type }) => type)).toEqual([
    'plan.contribution.voted',
    'plan.contribution.applied',
    'plan.contribution.made',
    'plan.contribution.rejected',
    'plan.session.timedout',
  ]);
  const plan = await field(
    'guest',
    'query ($id: ID!) { plan(planId: $id) { version stepCount sessions { status outcome contributions { status outcome } } } }',
    { id: planId },
  );
  expect(plan).toEqual({
    version: 2,
    stepCount: 2,
    sessions: [
      {
        status: 'TIMED_OUT',
        outcome: 'COLLABORATION_TIMEOUT',
        contributions: [
          { status: 'APPLIED', outcome: null },
          { status: 'REJECTED', outcome: 'COLLABORATION_TIMEOUT' },
        ],
      },
    ],
  });
});

test('a session in a private context is not there for others, nor what is contributed to it', async () => {
  const { sessionId } = await openSession(60_000, 'PRIVATE');
  const id = (await contribute('host', sessionId, 'secret'))['contribution']!['id'];
  const see = (who: Person) =>
    field(
      who,
      'query ($id: ID!) { planSession(sessionId: $id) { contributions { change { addSteps { description } } } } }',
      { id: sessionId },
    );
  await expect.poll(() => see('other'), { timeout: 10_000 }).toBeNull();
  expect(JSON.stringify(await see('host'))).toContain('secret');
  expect((await vote('other', id))['userErrors']).toMatchObject([{ code: 'NOT_FOUND' }]);
  expect((await contribute('other', sessionId, 'x'))['userErrors']).toMatchObject([{ code: 'NOT_FOUND' }]);
});
