import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { createPrincipal } from '#shared/principal.ts';
import { sameDocument, validateProtocolObject } from '../../schema/protocol/index.ts';
import { traceCodec } from '../../subgraphs/trace/codec.ts';
import { openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
const contextId = newId();
beforeAll(async () => {
  rig = await openTraceRig();
  rig.openContext('one', null, contextId);
});
afterAll(() => rig[Symbol.asyncDispose]());

const alice = principal('alice');
const governor = createPrincipal({
  tenantId: 'one',
  subject: 'governor',
  scopes: ['trace:read', 'trace:write', 'governance:override'],
});
const segment = newId();

/** A trace of a document, locked unless said otherwise. */
async function imported(locked = true, status = 'running'): Promise<string> {
  const id = newId();
  const document = {
    ...{ meta: { protocol_version: '1.0.0', schema_version: '1.0.0' }, trace_id: id, context_id: contextId, status },
    root_span: { trace_id: id, span_id: newId() },
    governance: { lifecyclePhase: 'frozen', locked },
    segments: [{ segment_id: segment, label: 'work', status: 'running', started_at: '2026-01-01T10:00:00Z' }],
    events: [{ event_id: newId(), event_type: 'a.one', source: 's', timestamp: '2026-01-01T00:00:00Z' }],
  };
  expect(validateProtocolObject('trace', document)).toEqual([]);
  await rig.sql.begin(async (tx) => appendChange(tx, 'trace', await traceCodec.write(tx, alice, [document])));
  const read = (await traceCodec.read(rig.sql, 'one', [id])).get(id)!;
  expect(sameDocument(read, document)).toBe(true);
  return id;
}

const time = `"${Date.now()}000000"`;
const span = `{ spanId: "00000000000000b1", name: "late", service: "s", startTimeUnixNano: ${time} }`;
const changes: Readonly<Record<string, string>> = {
  addSpan: `addSpan(traceId: $id, span: ${span}) { rejected { reason } userErrors { code } }`,
  addSpans: `addSpans(traceId: $id, spans: [${span}]) { rejected { reason } userErrors { code } }`,
  addEvents: `addEvents(traceId: $id, spanId: $span, events: [{ name: "e", timeUnixNano: ${time} }]) { userErrors { code } }`,
  updateSpan: 'updateSpan(traceId: $id, spanId: $span, input: { status: OK }) { userErrors { code } }',
  endSpan: `endSpan(traceId: $id, spanId: $span, endTimeUnixNano: ${time}) { userErrors { code } }`,
  recordTraceEvents:
    'recordTraceEvents(traceId: $id, events: [{ phase: PROGRESS, name: "n", source: { component: "c" } }]) { userErrors { code } }',
  recordTraceError:
    'recordTraceError(traceId: $id, input: { code: "c", message: "m", type: SYSTEM }) { userErrors { code } }',
  recordTraceDecision:
    'recordTraceDecision(traceId: $id, input: { decisionPoint: "d", options: [{ option: "a" }], selected: "a" }) { userErrors { code } }',
  captureTraceSnapshot: 'captureTraceSnapshot(traceId: $id, input: { state: {} }) { userErrors { code } }',
  correlateTraces:
    'correlateTraces(traceId: $other, input: { relatedTraceId: $id, type: LOGICAL, strength: 1 }) { userErrors { code } }',
  recordMetrics: 'recordMetrics(traceId: $id, metrics: [{ name: "m", value: 1 }]) { userErrors { code } }',
  updateTrace: 'updateTrace(traceId: $id, patch: { name: "new" }) { userErrors { code } }',
  endTrace: 'endTrace(traceId: $id) { userErrors { code } }',
  deleteTrace: 'deleteTrace(traceId: $id) { userErrors { code } }',
  deleteTraces: 'deleteTraces(traceIds: [$other, $id]) { userErrors { code } }',
};

const rowsOf = async (id: string) =>
  JSON.stringify([
    await rig.sql`SELECT * FROM trace.trace WHERE id = ${id}`,
    await rig.sql`SELECT * FROM trace.span WHERE trace_id = ${id} ORDER BY span_id`,
    await rig.sql`SELECT * FROM trace.history WHERE trace_id = ${id} ORDER BY event_id`,
    await rig.sql`SELECT * FROM trace.metric WHERE trace_id = ${id}`,
    await rig.sql`SELECT * FROM trace.snapshot WHERE trace_id = ${id}`,
  ]);
const spanIdOf = async (id: string) => {
  const [row] = await rig.sql`SELECT span_id FROM trace.span WHERE trace_id = ${id}`;
  return String(row!['span_id']);
};
async function change(field: string, id: string, other: string) {
  const answer = await rig.ask(
    alice,
    `mutation ($id: ID!, $other: ID!, $span: ID!) { ${changes[field]} }`.replace(
      /\$(other|span): ID!,? ?/g,
      (declared, name) => (changes[field]!.includes(`$${name}`) ? declared : ''),
    ),
    { id, other, span: await spanIdOf(id) },
  );
  return answer[field];
}

describe('a trace that governance has locked', () => {
  test.each(Object.keys(changes))('takes no %s; one that is open does', async (field) => {
    const [id, other] = [await imported(), await imported(false)];
    const before = await rowsOf(id);
    const refused = await change(field, id, other);
    if (refused.rejected === undefined) expect(refused.userErrors).toEqual([{ code: 'GOVERNANCE_LOCKED' }]);
    else expect(refused.rejected).toMatchObject([{ reason: expect.stringMatching(/^GOVERNANCE_LOCKED/) }]);
    expect(await rowsOf(id)).toBe(before);
    const open = await imported(false);
    const taken = await change(field, open, other);
    expect(taken.userErrors).toEqual([]);
    if (taken.rejected !== undefined) expect(taken.rejected).toEqual([]);
    expect(await rowsOf(open)).not.toBe(before);
  });

  test('is not put away and does not time out', async () => {
    const id = await imported(true, 'completed');
    const archive = await rig.ask(alice, 'mutation ($id: ID!) { archiveTrace(traceId: $id) { userErrors { code } } }', {
      id,
    });
    expect(archive.archiveTrace.userErrors).toEqual([{ code: 'GOVERNANCE_LOCKED' }]);
    const [old, open] = [await imported(), await imported(false)];
    await rig.sql`UPDATE trace.trace SET created_at = now() - interval '25 hours' WHERE id IN (${old}, ${open})`;
    await rig.sweep();
    const rows = await rig.sql`SELECT id, status FROM trace.trace WHERE id IN (${old}, ${open})`;
    expect(Object.fromEntries(rows.map(({ id: key, status }) => [key, status]))).toEqual({
      [old]: 'running',
      [open]: 'failed',
    });
  });

  test('changes by an override that cites an approved Confirm about it, which its governance keeps', async () => {
    const id = await imported();
    const confirm = (status: string, targetType: string, targetId: string) => {
      const confirmId = newId();
      rig.confirms.set(confirmId, { status, targetType, targetId });
      return confirmId;
    };
    const update = async (who: typeof alice, confirmId: string) =>
      (
        await rig.ask(
          who,
          `mutation ($id: ID!, $confirm: ID!) { updateTrace(traceId: $id, patch: { name: "new" },
             override: { confirmId: $confirm, reason: "it was wrong" }) { trace { name governance { lifecyclePhase locked lastConfirmId lastConfirmReason } } userErrors { code } } }`,
          { id, confirm: confirmId },
        )
      ).updateTrace;
    const good = confirm('APPROVED', 'TRACE', id);
    for (const bad of [
      newId(),
      confirm('REJECTED', 'TRACE', id),
      confirm('APPROVED', 'TRACE', newId()),
      confirm('APPROVED', 'OTHER', id),
    ])
      expect((await update(governor, bad)).userErrors).toEqual([{ code: 'CONFIRM_NOT_APPROVED' }]);
    await expect(update(alice, good)).rejects.toThrow('governance:override');
    expect(await update(governor, good)).toEqual({
      trace: {
        name: 'new',
        governance: {
          ...{ lifecyclePhase: 'frozen', locked: true },
          ...{ lastConfirmId: good, lastConfirmReason: 'it was wrong' },
        },
      },
      userErrors: [],
    });
    const document = (await traceCodec.read(rig.sql, 'one', [id])).get(id)!;
    expect(document['governance']).toMatchObject({ lastConfirmRef: { id: good } });
    expect(validateProtocolObject('trace', document)).toEqual([]);
    const removed = await rig.ask(
      governor,
      'mutation ($id: ID!, $confirm: ID!) { deleteTrace(traceId: $id, override: { confirmId: $confirm }) { deletedIds userErrors { code } } }',
      { id, confirm: good },
    );
    expect(removed.deleteTrace).toEqual({ deletedIds: [id], userErrors: [] });
  });
});

test('a trace keeps the Confirm that approved it last, also one that is locked', async () => {
  const [locked, native] = [
    await imported(),
    (
      await rig.ask(
        alice,
        'mutation ($id: ID!) { createTrace(input: { contextId: $id, name: "t" }) { trace { id } userErrors { code } } }',
        { id: contextId },
      )
    ).createTrace.trace.id,
  ];
  const resolved = (status: string, targetType: string, targetId: string) => ({
    confirm: { id: newId(), status, targetType, targetId },
  });
  const [first, last] = [resolved('approved', 'trace', locked), resolved('approved', 'trace', locked)];
  const own = resolved('approved', 'trace', native);
  const told = [
    first,
    last,
    own,
    resolved('rejected', 'trace', native),
    resolved('approved', 'context', native),
    { ...resolved('approved', 'trace', native), imported: true },
  ];
  const events = await rig.sql.begin((tx) =>
    appendChange(tx, 'confirm', [
      {
        ...{ tenantId: 'one', actor: 'boss' },
        events: told.map((data) => ({ streamId: newId(), type: 'confirm.resolved', data, tags: [] })),
      },
    ]),
  );
  await rig.publisher.published(events);
  const read = async (id: string) =>
    (
      await rig.ask(alice, 'query ($id: ID!) { trace(traceId: $id) { governance { locked lastConfirmId } version } }', {
        id,
      })
    ).trace;
  await vi.waitFor(async () => expect((await read(native)).governance).not.toBeNull(), 10_000);
  expect((await read(native)).governance).toEqual({ locked: false, lastConfirmId: own.confirm.id });
  expect((await read(locked)).governance).toMatchObject({
    locked: true,
    lastConfirmId: last.confirm.id,
  });
});
