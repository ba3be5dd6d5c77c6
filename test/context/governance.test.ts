import { graphql } from 'graphql';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type AuthTarget, createScopeAuthorizer } from '#shared/auth.ts';
import { createRequestScope } from '#shared/context.ts';
import type { EventRow } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import type { OpenSubgraph } from '#shared/subgraph.ts';
import { confirmSubgraph } from '../../subgraphs/confirm/index.ts';
import { noteApprovals } from '../../subgraphs/context/approvals.ts';
import { followConfirms } from '../../subgraphs/context/confirms.ts';
import { alice, type ContextRig, type Json, openContextRig, principal } from './rig.ts';

const asked: (AuthTarget | undefined)[] = [];
const scopes = createScopeAuthorizer();
const unknown = '8f9619ff-8b86-4011-b42d-00cf4fc964ff';

let rig: ContextRig;
let confirms: OpenSubgraph;

/** One of the two subgraphs, asked as the gateway would ask it. */
async function askSubgraph(subgraph: OpenSubgraph, source: string, variables: object, who: Principal): Promise<Json> {
  const scope = createRequestScope({ principal: who, correlationId: 'c', traceparent: 't' });
  const { data, errors } = await graphql({
    schema: subgraph.schema,
    source,
    variableValues: { ...variables },
    contextValue: subgraph.contextFor(scope),
  });
  if (errors) throw new Error(errors.map(({ message }) => message).join('; '));
  return JSON.parse(JSON.stringify(data)) as Json;
}

/** Every answer that the graph has given. */
const graphAsked: string[] = [];

beforeAll(async () => {
  rig = await openContextRig(
    {},
    {
      allows(who, permission, target) {
        if (permission === 'governance:override') asked.push(target);
        return scopes.allows(who, permission);
      },
    },
    {
      async execute(document, variables, who) {
        graphAsked.push(document);
        const subgraph = document.includes('confirm(') ? confirms : rig.subgraph;
        return { data: (await askSubgraph(subgraph, document, variables, who)) as never, errors: [] };
      },
    },
  );
  confirms = await confirmSubgraph.open(rig.runtime);
});
afterAll(() => rig[Symbol.asyncDispose]());

/** A real Confirm of a context, decided by somebody else where it is to be. */
async function confirmOf(contextId: string, decision: 'APPROVED' | 'REJECTED' | null): Promise<string> {
  const who = principal('alice', { scopes: [...alice.scopes, 'confirm:create'] });
  const { createApproval } = await askSubgraph(
    confirms,
    'mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { confirm { id } userErrors { message } } }',
    {
      input: {
        targetType: 'CONTEXT',
        targetId: contextId,
        confirmationType: decision === null ? 'RISK_ACCEPTANCE' : 'EMERGENCY_APPROVAL',
        title: 'Change what is locked',
        approvers: [{ subject: 'board' }],
      },
    },
    who,
  );
  const id = createApproval!['confirm']!['id'] as string;
  if (decision !== null) await decide(id, decision);
  return id;
}

async function decide(confirmId: string, decision: string): Promise<void> {
  const { processApproval } = await askSubgraph(
    confirms,
    'mutation ($input: ApprovalDecisionInput!) { processApproval(input: $input) { userErrors { message } } }',
    { input: { confirmId, decision, rationale: 'the board has met' } },
    principal('board', { scopes: ['confirm:approve'] }),
  );
  expect(processApproval!['userErrors']).toEqual([]);
}

/** The owner with the right to override. */
const guard = principal('alice', { scopes: [...alice.scopes, 'governance:override', 'confirm:read'] });

const calls: Readonly<Record<string, (override: string) => string>> = {
  updateContext: (override) => `updateContext(contextId: $id, patch: { title: "x" }${override})`,
  changeContextStatus: (override) => `changeContextStatus(contextId: $id, status: SUSPENDED${override})`,
  deleteContext: (override) => `deleteContext(contextId: $id, force: true${override})`,
  restoreContext: (override) => `restoreContext(contextId: $id${override})`,
  updateSharedState: (override) =>
    `updateSharedState(input: { contextId: $id, baseVersion: 0, changes: [{ key: "variables.a", value: 1 }]${override} })`,
  addParticipant: (override) => `addParticipant(input: { contextId: $id, agentId: "z"${override} })`,
  updateParticipant: (override) =>
    `updateParticipant(contextId: $id, participantId: $participant, patch: { displayName: "x" }${override})`,
  removeParticipant: (override) => `removeParticipant(contextId: $id, participantId: $participant${override})`,
  joinContext: (override) => `joinContext(contextId: $id${override})`,
  decideJoinRequest: (override) =>
    `decideJoinRequest(contextId: $id, participantId: $participant, decision: APPROVE${override})`,
  leaveContext: (override) => `leaveContext(contextId: $id${override})`,
  rotateContextJoinToken: (override) => `rotateContextJoinToken(contextId: $id${override})`,
  revokeContextJoinToken: (override) => `revokeContextJoinToken(contextId: $id${override})`,
  createSession: (override) => `createSession(input: { contextId: $id, name: "t"${override} })`,
  changeSessionStatus: (override) =>
    `changeSessionStatus(contextId: $id, sessionId: $session, status: PAUSED${override})`,
  endSession: (override) => `endSession(contextId: $id, sessionId: $session${override})`,
  setMetadata: (override) => `setMetadata(contextId: $id, entries: [{ key: "b", value: 1 }]${override})`,
  deleteMetadata: (override) => `deleteMetadata(contextId: $id, keys: ["a"]${override})`,
};

/** A locked context with a participant, a session and a note; its owner takes part, but where it is to join. */
async function locked(name: string) {
  const id = await rig.createContext(guard, { accessControl: { joinPolicy: 'INVITATION_ONLY' } });
  const [approved, pending] = [await confirmOf(id, 'APPROVED'), await confirmOf(id, null)];
  const made = await rig.ask(
    guard,
    `mutation ($id: ID!) {
      addParticipant(input: { contextId: $id, agentId: "other" }) { participant { id } }
      createSession(input: { contextId: $id, name: "s" }) { session { id } }
      setMetadata(contextId: $id, entries: [{ key: "a", value: 1 }]) { userErrors { code } }
      ${name === 'joinContext' ? '' : 'joinContext(contextId: $id) { userErrors { code } }'}
      updateContext(contextId: $id, patch: { governance: { locked: true } }) { userErrors { code } }
      ${name === 'restoreContext' ? `deleteContext(contextId: $id, force: true, override: { confirmId: "${approved}" }) { deleted }` : ''}
    }`,
    { id },
  );
  if (name === 'decideJoinRequest')
    await rig.sql`UPDATE context.participant SET status = 'JOINING' WHERE context_id = ${id} AND agent_id = 'other'`;
  const standing = async () =>
    JSON.stringify(
      await rig.sql`SELECT (SELECT json_agg(e.event_id) FROM context.event e WHERE stream_id = ${id}) AS events, to_jsonb(c) - 'search' AS row, (SELECT json_agg(p) FROM context.participant p WHERE context_id = ${id}) AS participants,
        (SELECT json_agg(s) FROM context.session s WHERE context_id = ${id}) AS sessions, (SELECT json_agg(m) FROM context.metadata m WHERE context_id = ${id}) AS metadata, (SELECT json_agg(k) FROM context.shared_key k WHERE context_id = ${id}) AS keys FROM context.context c WHERE id = ${id}`,
    );
  const variables = {
    id,
    participant: made['addParticipant']!['participant']!['id'],
    session: made['createSession']!['session']!['id'],
  };
  const ask = (who: typeof guard, override: string, key: string | null = null) =>
    rig.run(
      who,
      `mutation ($id: ID!, $participant: ID!, $session: ID!, $key: String) {
        answer: ${withKey(calls[name]!(override))} { userErrors { code path } }
        # Calls that find nothing: every variable has to be used.
        unused: updateParticipant(contextId: $participant, participantId: $participant, patch: {}) { userErrors { code } }
        unusedToo: endSession(contextId: $session, sessionId: $session) { userErrors { code } }
      }`,
      { ...variables, key },
    );
  return { id, approved, pending, standing, ask };
}

/** Adds the idempotency key, to the input object where there is one. */
function withKey(call: string): string {
  return call.includes('(input: {')
    ? call.replace(/ \}\)$/, ', idempotencyKey: $key })')
    : call.replace(/\)$/, ', idempotencyKey: $key)');
}

const citing = (confirmId: string) => `, override: { confirmId: "${confirmId}", reason: "board" }`;
const errorsOf = ({ data }: { readonly data: Json }) => data['answer']!['userErrors'];

describe('the lock of governance', () => {
  test.each(Object.keys(calls))('%s passes it with an approved Confirm alone, which is kept', async (name) => {
    const { id, approved, pending, standing, ask } = await locked(name);
    const elsewhere = await confirmOf(await rig.createContext(alice), 'APPROVED');
    const before = await standing();
    expect(errorsOf(await ask(guard, ''))).toEqual([{ code: 'GOVERNANCE_LOCKED', path: ['override'] }]);
    // Without the right, and with the right but a Confirm that nobody approved.
    expect((await ask(alice, citing(approved))).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
    for (const useless of [pending, elsewhere, unknown])
      expect(errorsOf(await ask(guard, citing(useless)))).toEqual([
        { code: 'CONFIRM_NOT_APPROVED', path: ['override', 'confirmId'] },
      ]);
    expect(errorsOf(await ask(guard, citing('none')))).toMatchObject([
      { code: 'VALIDATION_FAILED', path: expect.arrayContaining(['override', 'confirmId']) as string[] },
    ]);
    expect(await standing()).toBe(before);

    const [old] = await rig.sql`SELECT version FROM context.context WHERE id = ${id}`;
    expect(errorsOf(await ask(guard, citing(approved), 'key'))).toEqual([]);
    expect(asked.at(-1)).toEqual({ type: 'Confirm', id: approved, contextId: id });
    const [row] = await rig.sql`SELECT version, governance, updated_by FROM context.context WHERE id = ${id}`;
    expect(row).toEqual({
      version: (old!['version'] as number) + 1,
      governance: {
        locked: true,
        lastConfirmRef: { id: approved, module: 'confirm', description: 'board' },
      },
      updated_by: 'alice',
    });
    const [told] =
      await rig.sql`SELECT data->'context'->'governance'->'lastConfirmRef'->>'id' AS confirm FROM context.event WHERE stream_id = ${id} AND data ? 'context' ORDER BY sequence DESC LIMIT 1`;
    expect(told).toEqual({ confirm: approved });
    if (!['deleteContext', 'restoreContext'].includes(name)) {
      const [kept] =
        await rig.sql`SELECT document->'governance' ? 'lastConfirmRef' AS cited FROM context.context_version WHERE context_id = ${id} AND version = ${old!['version'] as number}`;
      expect(kept).toEqual({ cited: false });
    }
    // The Confirm belongs to what the key stands for.
    expect(errorsOf(await ask(guard, citing(approved), 'key'))).toEqual([]);
    expect(errorsOf(await ask(guard, citing(unknown), 'key'))).toEqual([
      { code: 'IDEMPOTENCY_MISMATCH', path: ['idempotencyKey'] },
    ]);
    await rig.sql`DELETE FROM context.idempotency WHERE key = 'key'`;
  });

  test('every mutation that a lock refuses is in that list', () => {
    const fields = Object.keys(rig.subgraph.schema.getMutationType()!.getFields());
    expect(fields.filter((name) => !['createContext', 'createContexts'].includes(name)).sort()).toEqual(
      Object.keys(calls).sort(),
    );
  });

  test('an override of what is not locked changes nothing of the governance', async () => {
    const id = await rig.createContext(alice);
    const answer = await rig.ask(
      alice,
      `mutation ($id: ID!) {
        updateContext(contextId: $id, patch: { title: "x" }${citing(unknown)}) { context { title governance { lastConfirmId } } userErrors { code } }
        addParticipant(input: { contextId: $id, agentId: "z"${citing(unknown)} }) { context { version governance { lastConfirmId } } userErrors { code } }
      }`,
      { id },
    );
    expect(answer).toEqual({
      updateContext: { context: { title: 'x', governance: null }, userErrors: [] },
      addParticipant: { context: { version: 2, governance: null }, userErrors: [] },
    });
  });

  test('what was heard of a Confirm spares the question, and a later approval counts at once', async () => {
    const { id, pending, ask } = await locked('setMetadata');
    const follower = await followConfirms(rig.runtime, rig.service.participants);
    const heard = await confirmOf(id, 'APPROVED');
    // An event is read once every transaction that began before it has ended, those of other databases included.
    await vi.waitFor(
      async () => {
        await follower.catchUp();
        expect(
          await rig.sql`SELECT 1 FROM context.replica WHERE type = 'Confirm' AND id = ${heard} AND status = 'approved'`,
        ).toHaveLength(1);
      },
      { timeout: 15_000, interval: 100 },
    );
    graphAsked.length = 0;
    expect(errorsOf(await ask(guard, citing(heard)))).toEqual([]);
    expect(graphAsked).toEqual([]);
    await follower.close();
    // Heard of as pending; the replica does not know of the approval yet.
    expect(errorsOf(await ask(guard, citing(pending)))).toMatchObject([{ code: 'CONFIRM_NOT_APPROVED' }]);
    await decide(pending, 'APPROVED');
    expect(errorsOf(await ask(guard, citing(pending)))).toEqual([]);
    const rejected = await confirmOf(id, 'REJECTED');
    expect(errorsOf(await ask(guard, citing(rejected)))).toMatchObject([{ code: 'CONFIRM_NOT_APPROVED' }]);
  });

  test('what approves a context is noted in its governance as a version, once, whoever tells it again', async () => {
    const id = await rig.createContext(alice);
    const [rejected, approved] = [await confirmOf(id, 'REJECTED'), await confirmOf(id, 'APPROVED')];
    const follower = await followConfirms(rig.runtime, rig.service.participants);
    const read = async () =>
      (
        await rig.ask(
          alice,
          'query ($id: ID!) { context(contextId: $id) { version governance { locked lastConfirmId } document history { nodes { version } } } }',
          { id },
        )
      )['context'];
    await vi.waitFor(
      async () => {
        await follower.catchUp();
        expect(await read()).toMatchObject({ governance: { locked: false, lastConfirmId: approved } });
      },
      { timeout: 15_000, interval: 100 },
    );
    await follower.close();
    expect(await read()).toMatchObject({
      version: 2,
      document: { governance: { lastConfirmRef: { id: approved, module: 'confirm' } } },
      history: { nodes: [{ version: 1 }] },
    });
    const events = (await rig.sql`
      SELECT e.tenant_id AS "tenantId", e.actor, e.type, e.data FROM confirm.event e WHERE e.stream_id = ANY(${[rejected, approved]}) ORDER BY position`) as unknown as EventRow[];
    const told = (type: string) => events.filter((event) => event.type === type);
    expect(told('confirm.resolved')).toHaveLength(2);
    await Promise.all([noteApprovals(rig.runtime, events), noteApprovals(rig.runtime, events)]);
    expect(await read()).toMatchObject({ version: 2 });
    const elsewhere = told('confirm.resolved').map((event) => ({ ...event, tenantId: 'two' }));
    await noteApprovals(rig.runtime, elsewhere);
    expect(await read()).toMatchObject({ version: 2 });
  });

  test('many overrides at once are each a version, and unlocking frees', async () => {
    const { id, approved } = await locked('updateSharedState');
    const [{ version }] = (await rig.sql`SELECT version FROM context.context WHERE id = ${id}`) as unknown as [
      { version: number },
    ];
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        rig.ask(
          guard,
          `mutation ($id: ID!) { a: updateSharedState(input: { contextId: $id, baseVersion: 0, changes: [{ key: "variables.k${index}", value: 1 }]${citing(approved)} }) { userErrors { code } } b: addParticipant(input: { contextId: $id, agentId: "a${index}"${citing(approved)} }) { userErrors { code } } }`,
          { id },
        ),
      ),
    );
    for (const answer of answers) expect(answer).toEqual({ a: { userErrors: [] }, b: { userErrors: [] } });
    const { context } = await rig.ask(
      guard,
      'query ($id: ID!) { context(contextId: $id) { version participantCount sharedState { version } history(first: 100) { nodes { version } } } }',
      { id },
    );
    const versions = (context!['history']!['nodes'] as unknown as { version: number }[]).map((node) => node.version);
    expect(versions).toEqual(Array.from({ length: versions.length }, (_, index) => versions.length - index));
    expect(context!['version']).toBe(versions.length + 1);
    // Eight states, and eight participants to the two there were.
    expect(context!['version']).toBe(version + 16);
    expect(context).toMatchObject({ participantCount: 10, sharedState: { version: 8 } });
    await rig.ask(
      guard,
      `mutation ($id: ID!) { updateContext(contextId: $id, patch: { governance: { locked: false } }${citing(approved)}) { userErrors { code } } }`,
      { id },
    );
    const free = await rig.ask(
      alice,
      'mutation ($id: ID!) { updateContext(contextId: $id, patch: { title: "free again" }) { context { title governance { locked lastConfirmId } } } }',
      { id },
    );
    expect(free['updateContext']!['context']).toEqual({
      title: 'free again',
      governance: { locked: false, lastConfirmId: approved },
    });
  });
});
