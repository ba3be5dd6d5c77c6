import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { viewerOf, visibleCondition } from '../../subgraphs/confirm/access.ts';
import { alice, bob, type ConfirmRig, dave, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const folder = new URL('../../prisma/migrations/20261128120600_confirm_private/', import.meta.url);

/** The confirms of four contexts, two of them of this database. */
test('the circle of private contexts is taken over from the contexts, and from what was known of them elsewhere', async () => {
  const { sql } = rig;
  const [open, closed, moved, gone] = [newId(), newId(), newId(), newId()];
  for (const id of [open, closed, moved, gone]) {
    rig.targets.add(`one/${id}`);
    await rig.open(alice, { targetId: id, contextId: id, approvers: [{ subject: 'carol' }] });
  }
  // As it was before: whether a context is private, and nothing of its owner and participants.
  await sql.unsafe('DROP INDEX confirm.replica_participant_idx, confirm.replica_private_idx');
  await sql.unsafe('DELETE FROM confirm.replica');
  const contextOf = (id: string, owner: string, visibility: string) =>
    sql.unsafe(
      `INSERT INTO context.context (tenant_id, id, title, status, root, domain, environment, type, lifecycle_stage, owner_id, owner_type,
         configuration, access_control, priority, shared_checksum, search, created_by, updated_by)
       VALUES ('one', $1, 'A room', 'active', '{}', 'd', 'e', 'PROJECT', 'planning', $2, 'AGENT', '{}', jsonb_build_object('visibility', $3::text), 'NORMAL', '', '', $2, $2)`,
      [id, owner, visibility],
    );
  await contextOf(open, 'alice', 'TENANT');
  await contextOf(closed, 'alice', 'PRIVATE');
  const left = newId();
  for (const [id, agent] of [[newId(), 'bob'] as const, [left, 'dave'] as const])
    await sql.unsafe(
      `INSERT INTO context.participant (tenant_id, id, context_id, agent_id, type, status) VALUES ('one', $1, $2, $3, 'AGENT', 'active')`,
      [id, closed, agent],
    );
  await sql.unsafe(
    `INSERT INTO confirm.replica (tenant_id, type, id, status, detail, sequence)
     VALUES ('one', 'ContextParticipant', $1, 'LEFT', jsonb_build_object('contextId', $2::text, 'agentId', 'dave'), 8)`,
    [left, closed],
  );
  const heard = (id: string, status: string, isPrivate: boolean) =>
    sql.unsafe(
      `INSERT INTO confirm.replica (tenant_id, type, id, status, detail, sequence)
       VALUES ('one', 'Context', $1, $2, jsonb_build_object('isPrivate', $3::boolean), 7)`,
      [id, status, isPrivate],
    );
  await heard(open, 'active', false);
  await heard(closed, 'deleted', true);
  // These two lie in another database.
  await heard(moved, 'active', true);
  await heard(gone, 'deleted', false);

  await sql.unsafe(await readFile(new URL('migration.sql', folder), 'utf8'));

  const rows = await sql<{ id: string; status: string; detail: object; sequence: number }[]>`
    SELECT id, status, detail, sequence::int FROM confirm.replica WHERE type = 'Context'`;
  const byId = new Map(rows.map(({ id, ...row }) => [id, row]));
  expect(byId.get(open)).toEqual({ status: 'active', detail: { ownerId: 'alice', visibility: 'TENANT' }, sequence: 7 });
  // What is deleted stays so.
  expect(byId.get(closed)).toEqual({
    ...{ status: 'deleted', detail: { ownerId: 'alice', visibility: 'PRIVATE' }, sequence: 7 },
  });
  expect(byId.get(moved)).toMatchObject({ detail: { ownerId: null, visibility: 'PRIVATE' } });
  expect(byId.get(gone)).toMatchObject({ status: 'deleted', detail: { ownerId: null, visibility: 'TENANT' } });

  const seenBy = async (who: typeof alice) => {
    const found = await sql.unsafe<{ id: string }[]>(
      `SELECT c.context_id AS id FROM confirm.confirm c WHERE c.tenant_id = 'one' AND ${visibleCondition('c', '$1')}`,
      [viewerOf(who) as string[] | null],
    );
    return new Set(found.map(({ id }) => id));
  };
  expect(await seenBy(alice)).toEqual(new Set([open, closed, moved, gone]));
  expect(await seenBy(bob)).toEqual(new Set([open, closed, gone]));
  expect(await seenBy(principal('somebody'))).toEqual(new Set([open, gone]));
  // What was heard of a participant stays.
  expect(await seenBy(dave)).toEqual(new Set([open, gone]));
});
