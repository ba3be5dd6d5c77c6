import { newId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { alice, type Json, openPlanRig, principal } from '../rig.ts';

export const [bob, carol, dave] = ['bob', 'carol', 'dave'].map((subject) => principal(subject)) as [
  Principal,
  Principal,
  Principal,
];

const errors = 'userErrors { code message path }';
const contribution = `contribution { id status outcome revision planVersion appliedVersion undoOf author change { addSteps { stepId fields name description durationMs } updateSteps { stepId fields durationMs name } removeStepIds addDependencies { id sourceId targetId type criticality } removeDependencyIds }
  before { totalSteps durationMs } after { totalSteps durationMs }
  tally { approving rejecting abstaining undecided share participation } votes { subject vote votingWeight comment } }`;
const session =
  'session { id status outcome statusReason participants { subject votingWeight } consensusThreshold quorum version deadlineAt }';

/** A plan rig with what people do in planning sessions. */
export async function openRoom(env: Readonly<Record<string, string>> = {}) {
  const rig = await openPlanRig(env);
  const room = {
    ...rig,
    /** A draft of a chain of three steps of an hour each, and its ids. */
    async draft() {
      const ids = [newId(), newId(), newId()] as const;
      const links = [newId(), newId()] as const;
      const planId = await rig.createPlan({
        steps: ids.map((id) => ({ id, description: id, durationMs: 3_600_000 })),
        dependencies: links.map((id, at) => ({ id, sourceId: ids[at], targetId: ids[at + 1] })),
      });
      return { planId, ids, links };
    },
    plan: (planId: string) =>
      rig.field(
        alice,
        'query ($id: ID!) { plan(planId: $id) { version status stepCount summary { durationMs } steps { id description durationMs place } dependencies { id sourceId targetId } } }',
        { id: planId },
      ),
    start: (planId: string, input: Readonly<Record<string, unknown>> = {}, who: Principal = alice) =>
      rig.field(
        who,
        `mutation ($input: StartPlanSessionInput!) { startPlanSession(input: $input) { ${session} ${errors} } }`,
        {
          input: {
            planId,
            participants: [
              { subject: 'alice', votingWeight: 3 },
              { subject: 'bob', votingWeight: 1 },
              { subject: 'carol', votingWeight: 1 },
            ],
            ...input,
          },
        },
      ),
    /** A session of a new draft, its ids with it. */
    async meet(input: Readonly<Record<string, unknown>> = {}) {
      const drafted = await room.draft();
      const payload = await room.start(drafted.planId, input);
      if (payload['userErrors']!.length > 0) throw new Error(JSON.stringify(payload['userErrors']));
      return { ...drafted, sessionId: String(payload['session']!['id']) };
    },
    contribute: (
      who: Principal,
      sessionId: string,
      change: Readonly<Record<string, unknown>>,
      input: Readonly<Record<string, unknown>> = {},
    ) =>
      rig.field(
        who,
        `mutation ($input: ContributeToPlanInput!) { contributeToPlan(input: $input) { ${contribution} ${errors} } }`,
        { input: { sessionId, planVersion: 1, change, ...input } },
      ),
    vote: (
      who: Principal,
      contributionId: unknown,
      vote = 'APPROVE',
      options: Readonly<Record<string, unknown>> = {},
    ) =>
      rig.field(
        who,
        `mutation ($id: ID!, $vote: PlanVote!, $comment: String, $key: String) { voteOnContribution(contributionId: $id, vote: $vote, comment: $comment, idempotencyKey: $key) { ${contribution} plan { version } ${errors} } }`,
        { id: contributionId, vote, ...options },
      ),
    rebase: (who: Principal, contributionId: unknown, options: Readonly<Record<string, unknown>>) =>
      rig.field(
        who,
        `mutation ($id: ID!, $version: Int!, $change: PlanChangeInput) { rebaseContribution(contributionId: $id, planVersion: $version, change: $change) { ${contribution} ${errors} } }`,
        { id: contributionId, ...options },
      ),
    undo: (who: Principal, contributionId: unknown) =>
      rig.field(who, `mutation ($id: ID!) { undoContribution(contributionId: $id) { ${contribution} ${errors} } }`, {
        id: contributionId,
      }),
    withdraw: (who: Principal, contributionId: unknown) =>
      rig.field(
        who,
        `mutation ($id: ID!) { withdrawContribution(contributionId: $id) { ${contribution} ${errors} } }`,
        { id: contributionId },
      ),
    close: (who: Principal, sessionId: string, options: Readonly<Record<string, unknown>> = {}) =>
      rig.field(
        who,
        `mutation ($id: ID!, $discard: Boolean! = false) { closePlanSession(sessionId: $id, discardOpen: $discard) { ${session} ${errors} } }`,
        { id: sessionId, ...options },
      ),
    participants: (who: Principal, sessionId: string, options: Readonly<Record<string, unknown>>) =>
      rig.field(
        who,
        `mutation ($id: ID!, $set: [PlanParticipantInput!], $remove: [ID!]) { changePlanParticipants(sessionId: $id, set: $set, remove: $remove) { ${session} ${errors} } }`,
        { id: sessionId, ...options },
      ),
    session: (who: Principal, sessionId: string) =>
      rig.field(
        who,
        `query ($id: ID!) { planSession(sessionId: $id) { id status outcome plan { id } contributions { id status outcome } open: contributions(status: [OPEN]) { id } } }`,
        { id: sessionId },
      ),
    /** The session's time is over from now on. */
    letTimePass: (sessionId: string) =>
      rig.sql`UPDATE plan.session SET deadline_at = now() - interval '1 second' WHERE id = ${sessionId}`,
    /** Types of what was told in a session, in order. */
    told: (sessionId: string) =>
      rig.events.flatMap(({ streamId, type }) => (streamId === sessionId ? [type.replace('plan.', '')] : [])),
  };
  return room;
}

export type Room = Awaited<ReturnType<typeof openRoom>>;

export const codesOf = (payload: Json) => payload['userErrors']!.map(({ code }) => String(code));
