import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { admin, ann, bob, type CollabRig, codesOf, openCollabRig, typesOf } from './rig.ts';

let rig: CollabRig;
beforeAll(async () => {
  rig = await openCollabRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const hourMs = 3_600_000;
const read = async (id: string) =>
  (
    await rig.ask(
      ann,
      'query ($id: ID!) { collaboration(id: $id) { status statusReason failed startedAt endsAt maxDurationMs turns { nodes { status error } } decisions { nodes { status } } } }',
      { id },
    )
  )['collaboration']!;
const patch = (id: string, maxDurationMs: number, who = ann) =>
  rig
    .ask(
      who,
      'mutation ($id: ID!, $ms: DurationMs) { updateCollaboration(collabId: $id, patch: { maxDurationMs: $ms }) { collaboration { endsAt } userErrors { code path } } }',
      { id, ms: maxDurationMs },
    )
    .then((answer) => answer['updateCollaboration']!);
/** As if it had begun so long ago. */
const age = (id: string, ms: number) =>
  rig.sql.unsafe(
    `UPDATE collab.collaboration SET started_at = started_at - $2 * interval '1 millisecond', next_deadline_at = next_deadline_at - $2 * interval '1 millisecond',
       deadlines = deadlines || jsonb_build_object('session', to_char(((deadlines->>'session')::timestamptz - $2 * interval '1 millisecond') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
     WHERE id = $1`,
    [id, ms],
  );

test('a session lasts eight hours unless it says otherwise, from its start on; its timer is durable', async () => {
  const id = await rig.session('ORCHESTRATED', ['bob']);
  const { startedAt, endsAt, maxDurationMs } = await read(id);
  expect(Date.parse(String(endsAt)) - Date.parse(String(startedAt))).toBe(8 * hourMs);
  expect(maxDurationMs).toBe(8 * hourMs);
  const [job] = await rig.sql<
    { runAt: Date }[]
  >`SELECT run_at AS "runAt" FROM graphile_worker.jobs WHERE key = ${`collab.deadline:${id}`}`;
  expect(job!.runAt.toISOString()).toBe(endsAt);
  const [draft] = await Promise.all([rig.session('ORCHESTRATED', ['bob'], { activate: false, maxDurationMs: 60_000 })]);
  expect(await read(draft)).toMatchObject({ status: 'DRAFT', endsAt: null, maxDurationMs: 60_000 });
});

test('one that is over its time ends with all that is under way, is told once, and takes nothing more', async () => {
  const id = await rig.session('ORCHESTRATED', ['bob'], { maxDurationMs: hourMs });
  await rig.act(ann, 'dispatchTurn', { collabId: id, participantId: 'bob', timeoutMs: 600_000 });
  await age(id, hourMs);
  await Promise.all([0, 1, 2].map(() => rig.service.deadlines.meetOne('one', id)));
  expect(await read(id)).toMatchObject({
    ...{ status: 'CANCELLED', failed: true, statusReason: 'its time of 3600 s is over' },
    turns: { nodes: [{ status: 'CANCELLED', error: 'its time of 3600 s is over' }] },
  });
  const told = typesOf(await rig.stream(id));
  for (const type of ['collab.expired', 'collab.cancelled', 'collab.turn.completed'])
    expect([type, told.filter((one) => one === type).length]).toEqual([type, 1]);
  expect(codesOf(await rig.mutate(bob, 'broadcast', { collabId: id, message: {} }, 'broadcast { id }'))).toEqual([
    'COLLAB_NOT_ACTIVE',
  ]);
});

test('it ends while it is suspended too; other things due wait until it goes on', async () => {
  const id = await rig.session('ORCHESTRATED', ['bob', 'cat'], { maxDurationMs: hourMs });
  await rig.move(ann, 'suspendCollaboration', id);
  await rig.service.deadlines.meetOne('one', id);
  expect(await read(id)).toMatchObject({ status: 'SUSPENDED' });
  await age(id, hourMs);
  const due = await rig.service.deadlines.findDue(Date.now());
  expect(due.map(({ collabId }) => collabId)).toContain(id);
  await rig.service.deadlines.sweep();
  expect(await read(id)).toMatchObject({ status: 'CANCELLED', failed: true });
});

test('the coordinator gives it more time or less, but none that has passed', async () => {
  const id = await rig.session('ORCHESTRATED', ['bob'], { maxDurationMs: hourMs });
  await age(id, hourMs / 2);
  expect(codesOf(await patch(id, hourMs / 3))).toEqual(['VALIDATION_FAILED']);
  expect(codesOf(await patch(id, 1_000))).toEqual(['VALIDATION_FAILED']);
  await expect(patch(id, 2 * hourMs, bob)).rejects.toThrow('coordinator');
  expect(codesOf(await patch(id, 2 * hourMs))).toEqual([]);
  await age(id, hourMs);
  await rig.service.deadlines.meetOne('one', id);
  expect(await read(id)).toMatchObject({ status: 'ACTIVE' });
  await age(id, hourMs / 2);
  await rig.service.deadlines.meetOne('one', id);
  expect(await read(id)).toMatchObject({ status: 'CANCELLED' });
});

test('property: however it is suspended, resumed and given time, it is over exactly when its time is', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('age' as const), minutes: fc.integer({ min: 1, max: 50 }) }),
    fc.record({ kind: fc.constant('give' as const), minutes: fc.integer({ min: 1, max: 120 }) }),
    fc.constantFrom({ kind: 'suspend' as const }, { kind: 'resume' as const }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      const id = await rig.session('ORCHESTRATED', ['bob'], { maxDurationMs: hourMs });
      let [passed, allowed] = [0, 60];
      for (const one of steps) {
        if (one.kind === 'age') {
          await age(id, one.minutes * 60_000);
          passed += one.minutes;
        } else if (one.kind === 'give') {
          if (codesOf(await patch(id, one.minutes * 60_000)).length === 0) allowed = one.minutes;
        } else await rig.move(admin, one.kind === 'suspend' ? 'suspendCollaboration' : 'resumeCollaboration', id);
        await rig.service.deadlines.meetOne('one', id);
        const { status } = await read(id);
        expect(status === ('CANCELLED' as never)).toBe(passed >= allowed);
        if (passed >= allowed) break;
      }
    }),
    { numRuns: 15 },
  );
});
