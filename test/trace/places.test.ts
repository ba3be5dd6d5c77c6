import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { appendChange, type NewEvent } from '#shared/outbox.ts';
import { contextTraceId } from '#shared/traceIds.ts';
import type { SubgraphName } from '../../subgraphs/names.ts';
import { securityTraceId, tenantTraceId } from '../../subgraphs/trace/history/targets.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
const [alice, bob, eve] = [principal('alice'), principal('bob'), principal('eve', 'two')];
beforeAll(async () => {
  rig = await openTraceRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

interface Told {
  readonly module: SubgraphName;
  readonly streamId: string;
  readonly type: string;
  readonly data: NewEvent['data'];
  readonly traceparent?: string;
}

/** Tells what a module would; answers the ids of the events. */
async function tell(...all: readonly Told[]): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const { module, traceparent, ...event } of all) {
    const change = { tenantId: 'one', actor: 'carol', traceparent, events: [{ ...event, tags: [] }] };
    const events = await rig.sql.begin((tx) => appendChange(tx, module, [change]));
    await rig.publisher.published(events);
    ids.push(...events.map(({ eventId }) => eventId));
  }
  return ids;
}

/** Waits for the traces that the events stand on; of each, in the order of the ids. */
async function placesOf(
  ids: readonly string[],
  missing: readonly string[] = [],
): Promise<readonly (string[] | null)[]> {
  const read = async () => {
    const rows =
      (await rig.sql`SELECT event_id AS id, array_agg(trace_id ORDER BY trace_id) AS traces FROM trace.history
      WHERE tenant_id = 'one' AND event_id = ANY(${ids as string[]}::uuid[]) GROUP BY 1`) as unknown as Json[];
    return new Map(rows.map(({ id, traces }) => [id, traces]));
  };
  await expect
    .poll(async () => (await read()).size, { timeout: 30_000 })
    .toBeGreaterThanOrEqual(ids.length - missing.length);
  const found = await read();
  return ids.map((id) => found.get(id) ?? null);
}

const eventsOf = async (who: typeof alice, traceId: string): Promise<readonly Json[] | null> =>
  (
    await rig.ask(
      who,
      'query($id: ID!) { trace(traceId: $id) { events(first: 100) { nodes { id type actor data } } } }',
      { id: traceId },
    )
  ).trace?.events.nodes ?? null;
const seen = async (who: typeof alice, traceId: string) => (await eventsOf(who, traceId))?.map(({ id }) => id) ?? null;

const assignment = (streamId: string, type: string, contextId: string | null): Told => {
  const [id, roleId] = [newId(), newId()];
  const data = { subjectId: 'carol', roleId, contextId, assignment: { id, subjectId: 'carol', roleId, contextId } };
  return { module: 'role', streamId, type, data: { ...data, role: { id: roleId, name: 'r' } } };
};
const inbox = (streamId: string, contextId: string | null): Told => ({
  ...{ module: 'confirm', streamId, type: 'approval.waiting' },
  data: { confirm: { id: newId(), contextId, targetType: 'other', targetId: newId() }, approver: { subject: 'carol' } },
});

describe('a stream that tells of several contexts', () => {
  test('ties none of its events to the context that was told first', async () => {
    const [hidden, open] = [rig.openContext('one', 'alice'), rig.openContext()];
    const [subject, people, leases] = [newId(), newId(), newId()];
    const [inHidden, everywhere, changed, inOpen] = await tell(
      assignment(subject, 'role.assigned', hidden),
      assignment(subject, 'role.assigned', null),
      {
        ...{ module: 'role', streamId: subject, type: 'permission.changed' },
        data: { subjectId: 'carol', roleId: newId(), contextId: null },
      },
      assignment(subject, 'role.revoked', open),
    );
    const [waitsHidden, waitsNowhere] = await tell(inbox(people, hidden), inbox(people, null));
    const [access, node] = await tell(
      { module: 'core', streamId: leases, type: 'access.changed', data: { contextId: hidden, access: {} } },
      { module: 'core', streamId: leases, type: 'node.changed', data: { node: { id: newId() } } },
    );
    const all = [inHidden, everywhere, changed, inOpen, waitsHidden, waitsNowhere, access, node].map(String);
    const [ofHidden, ofOpen] = [contextTraceId('one', hidden), contextTraceId('one', open)];
    const ofTenant = tenantTraceId('one');
    expect(await placesOf(all)).toEqual(
      [ofHidden, ofTenant, ofTenant, ofOpen, ofHidden, ofTenant, ofHidden, ofTenant].map((id) => [id]),
    );
    expect(new Set(await seen(alice, ofHidden))).toEqual(new Set([inHidden, waitsHidden, access]));
    expect(await seen(bob, ofHidden)).toBeNull();
    expect(await seen(bob, ofOpen)).toEqual([inOpen]);
    expect(await seen(bob, ofTenant)).toEqual(expect.arrayContaining([everywhere, changed, waitsNowhere, node]));
    expect(JSON.stringify(await eventsOf(bob, ofTenant))).not.toContain(hidden);
  });

  test('is told where it stands already from another time', async () => {
    const [before, subject] = [rig.openContext(), newId()];
    await rig.sql`INSERT INTO trace.stream_context (tenant_id, stream_id, context_id) VALUES ('one', ${subject}, ${before})`;
    const ids = await tell(assignment(subject, 'role.assigned', null));
    expect(await placesOf(ids)).toEqual([[tenantTraceId('one')]]);
  });
});

test('what stood in a context’s history by its stream alone goes when the database is brought up to date, and once', async () => {
  const contextId = rig.openContext();
  const id = contextTraceId('one', contextId);
  await rig.sql`INSERT INTO trace.trace (tenant_id, id, w3c_id, context_id, name, status, created_by)
    VALUES ('one', ${id}, ${id.replaceAll('-', '')}, ${contextId}, 'context history', 'running', 'system:trace')`;
  const rows = [
    ['role', 'role.assigned', {}, false],
    ['role', 'role.assigned', { contextId }, true],
    ['role', 'permission.requested', { planId: newId() }, true],
    ['confirm', 'approval.waiting', {}, false],
    ['confirm', 'confirm.created', {}, true],
    ['core', 'node.changed', {}, false],
    ['core', 'execution.started', {}, true],
    ['plan', 'task.added', {}, true],
  ] as const;
  const kept: string[] = [];
  for (const [source, type, detail, stays] of rows) {
    const eventId = newId();
    if (stays) kept.push(eventId);
    await rig.sql`INSERT INTO trace.history (tenant_id, trace_id, event_id, recorded_at, type, source, actor, occurred_at, detail)
      VALUES ('one', ${id}, ${eventId}, now(), ${type}, ${source}, 'carol', now(), ${JSON.stringify(detail)}::text::jsonb)`;
  }
  const migration = await readFile('prisma/migrations/20261129180000_trace_places/migration.sql', 'utf8');
  for (const _time of [1, 2]) {
    await rig.sql.unsafe(migration);
    expect((await seen(bob, id))?.toSorted()).toEqual(kept.toSorted());
  }
});

describe('what belongs to the tenant as a whole', () => {
  test('stands in one trace of it, which its people find, filter and nobody else sees', async () => {
    const roleId = newId();
    const ids = await tell(
      { module: 'role', streamId: roleId, type: 'role.created', data: { role: { id: roleId, name: 'r' } } },
      {
        ...{ module: 'confirm', streamId: newId(), type: 'workflow.template.created' },
        data: { template: { id: newId(), name: 't', status: 'active' } },
      },
      { module: 'platform', streamId: newId(), type: 'config.changed', data: { key: 'k' } },
    );
    const id = tenantTraceId('one');
    expect(await placesOf(ids)).toEqual([[id], [id], [id]]);
    const list = async (who: typeof alice, filter: object) =>
      (
        await rig.ask(who, 'query($f: TraceFilter) { traces(filter: $f) { nodes { id name contextId status } } }', {
          f: filter,
        })
      ).traces.nodes;
    const own = { id, name: 'tenant history', contextId: null, status: 'RUNNING' };
    expect(await list(bob, { type: ['AUDIT'], text: 'tenant' })).toEqual([own]);
    expect(await list(bob, { type: ['EXECUTION'], text: 'tenant' })).toEqual([]);
    expect(await list(eve, { type: ['AUDIT'], text: 'tenant' })).toEqual([]);
    expect(await seen(eve, id)).toBeNull();
    // Old as it is, it is neither ended nor forgotten: what it says goes with its days.
    await rig.sql`UPDATE trace.trace SET created_at = created_at - interval '400 days', updated_at = updated_at - interval '400 days' WHERE id = ${id}`;
    await rig.sweep();
    expect((await seen(bob, id))?.length).toBeGreaterThanOrEqual(3);
  });

  test('does not tell who was let in', async () => {
    const last = { action: 'read', resourceType: 'plan', resourceId: newId(), decision: 'DENY' };
    const ids = await tell({
      ...{ module: 'role', streamId: newId(), type: 'access.denied' },
      data: { subjectId: 'carol', contextId: null, decisions: 3, since: null, last },
    });
    expect(await placesOf(ids)).toEqual([[securityTraceId('one')]]);
    const [event] = (await eventsOf(bob, securityTraceId('one')))!.filter(({ id }) => id === ids[0]);
    expect(event).toMatchObject({ actor: 'system:trace', data: { decisions: 3 } });
    expect(JSON.stringify(event)).not.toMatch(/carol|resourceId/);
  });

  test('is not what names an object of which nothing is known', async () => {
    const [open, run, runOfNone, dialogId] = [rig.openContext(), newId(), newId(), newId()];
    const alarm = (executionId: string): Told => ({
      ...{ module: 'core', streamId: newId(), type: 'system.told' },
      data: { type: 'workflow.compensation.failed', data: { executionId }, published: false },
    });
    const execution = (id: string, contextId: string | null): Told => ({
      ...{ module: 'core', streamId: id, type: 'execution.started' },
      data: { execution: { id, contextId, status: 'running' } },
    });
    const unknown = newId();
    const core = await tell(
      ...[execution(run, open), execution(runOfNone, null)],
      ...[alarm(run), alarm(unknown), alarm(runOfNone)],
    );
    const dialogs = await tell(
      {
        module: 'dialog',
        streamId: dialogId,
        type: 'dialog.created',
        data: { dialog: { id: dialogId, contextId: open } },
      },
      {
        module: 'dialog',
        streamId: dialogId,
        type: 'dialog.message.sent',
        data: { message: { id: newId(), dialogId } },
      },
    );
    const [ofOpen, ofTenant] = [[contextTraceId('one', open)], [tenantTraceId('one')]];
    expect(await placesOf([...core, ...dialogs], [core[3]!])).toEqual([
      ...[ofOpen, ofTenant, ofOpen, null, ofTenant],
      ...[ofOpen, ofOpen],
    ]);
  });

  test('is what clients publish, whatever context they write into it', async () => {
    const hidden = rig.openContext('one', 'alice');
    const ids = await tell({
      ...{ module: 'platform', streamId: newId(), type: 'custom.told' },
      data: { payload: { contextId: hidden, planId: newId() }, orderingKey: null },
    });
    expect(await placesOf(ids)).toEqual([[tenantTraceId('one')]]);
    expect(JSON.stringify(await eventsOf(bob, tenantTraceId('one')))).not.toContain(hidden);
  });
});

describe('an event that names a trace', () => {
  const spanId = '00f067aa0ba902b7';
  const parent = (w3cId: string) => `00-${w3cId}-${spanId}-01`;
  const planOf = (contextId: string, w3cId: string): Told => {
    const id = newId();
    const data = { plan: { id, contextId, status: 'draft' } };
    return { module: 'plan', streamId: id, type: 'plan.created', data, traceparent: parent(w3cId) };
  };
  const roleOf = (w3cId: string): Told => {
    const id = newId();
    return { module: 'role', streamId: id, type: 'role.created', data: { role: { id } }, traceparent: parent(w3cId) };
  };
  async function open(contextId: string, more: object = {}): Promise<{ id: string; w3cId: string }> {
    const { createTrace } = await rig.ask(
      alice,
      'mutation($input: CreateTraceInput!) { createTrace(input: $input) { trace { id w3cId } } }',
      { input: { contextId, name: 'work', ...more } },
    );
    return createTrace.trace;
  }
  async function exported(): Promise<{ id: string; w3cId: string }> {
    const w3cId = newId().replaceAll('-', '');
    const span = { traceId: w3cId, spanId, name: 'call', startTimeUnixNano: `${Date.now()}000000` };
    const scopeSpans = [{ spans: [span] }];
    const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] };
    const answer = await rig.ask(alice, `mutation($r: JSON!) { ingestOtlp(request: $r) { accepted } }`, {
      r: { resourceSpans: [{ resource, scopeSpans }] },
    });
    expect(answer.ingestOtlp.accepted).toBe(1);
    const { distributedTrace } = await rig.ask(
      alice,
      'query($id: ID!) { distributedTrace(externalTraceId: $id) { traces { id } } }',
      { id: w3cId },
    );
    return { id: distributedTrace.traces[0].id, w3cId };
  }

  test('of its own context stands there, below the span it names, and not in the standing one', async () => {
    const contextId = rig.openContext();
    const trace = await open(contextId, { begin: false });
    const ids = await tell(planOf(contextId, trace.w3cId));
    expect(await placesOf(ids)).toEqual([[trace.id]]);
    const answer = await rig.ask(
      bob,
      `query($id: ID!) { trace(traceId: $id) { status spanCount name events { nodes { id actor data } } }
         executionTrace(traceId: $id) { timeline { nodes { spanId name } } } }`,
      { id: trace.id },
    );
    expect(answer.trace).toMatchObject({ status: 'RUNNING', spanCount: 0, name: 'work' });
    expect(answer.trace.events.nodes).toEqual([
      { id: ids[0], actor: 'carol', data: expect.objectContaining({ spanId, contextId, status: 'draft' }) },
    ]);
    expect(answer.executionTrace.timeline.nodes).toEqual([{ spanId, name: 'plan.created' }]);
  });

  test('of another context stands where its own readers alone see it', async () => {
    const [hidden, shared] = [rig.openContext('one', 'alice'), rig.openContext()];
    const [inShared, free] = [await open(shared), await exported()];
    const plans = await tell(planOf(hidden, inShared.w3cId), planOf(hidden, free.w3cId), planOf(shared, free.w3cId));
    const roles = await tell(roleOf(inShared.w3cId), roleOf(free.w3cId));
    expect(await placesOf([...plans, ...roles])).toEqual(
      [
        ...[contextTraceId('one', hidden), contextTraceId('one', hidden), contextTraceId('one', shared)],
        ...[tenantTraceId('one'), free.id],
      ].map((id) => [id]),
    );
    expect(await seen(bob, inShared.id)).toEqual([]);
    expect(await seen(bob, free.id)).toEqual([roles[1]]);
    expect(await seen(bob, contextTraceId('one', hidden))).toBeNull();
  });

  test('that takes nothing any more stands in the standing one', async () => {
    const contextId = rig.openContext();
    const [ended, archived, locked] = [await open(contextId), await open(contextId), await open(contextId)];
    await rig.sql`UPDATE trace.trace SET status = 'failed', finished_at = now() - interval '2 minutes' WHERE id = ${ended.id}`;
    await rig.sql`UPDATE trace.trace SET archived_at = now() WHERE id = ${archived.id}`;
    await rig.sql`UPDATE trace.trace SET governance = '{"locked": true}' WHERE id = ${locked.id}`;
    const ids = await tell(
      ...[ended, archived, locked].map(({ w3cId }) => planOf(contextId, w3cId)),
      planOf(contextId, newId().replaceAll('-', '')),
    );
    const standing = contextTraceId('one', contextId);
    expect(await placesOf(ids)).toEqual(ids.map(() => [standing]));
  });

  test('and moves the state of its context moves the standing one too', async () => {
    const contextId = rig.openContext();
    const trace = await open(contextId);
    const ids = await tell({
      ...{ module: 'context', streamId: contextId, type: 'context.closed', traceparent: parent(trace.w3cId) },
      data: { context: { id: contextId, status: 'closed' } },
    });
    const standing = contextTraceId('one', contextId);
    expect(await placesOf(ids)).toEqual([[standing, trace.id].sort()]);
    const status = async (id: string) =>
      (await rig.ask(alice, 'query($id: ID!) { trace(traceId: $id) { status } }', { id })).trace.status;
    expect([await status(standing), await status(trace.id)]).toEqual(['COMPLETED', 'RUNNING']);
  });
});
