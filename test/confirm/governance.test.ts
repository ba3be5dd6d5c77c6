import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { validateProtocolObject } from '../../schema/protocol/index.ts';
import { confirmCodec } from '../../subgraphs/confirm/codec.ts';
import { admin, alice, bob, type ConfirmRig, codesOf, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const governor = principal('governor', {
  scopes: ['confirm:read', 'confirm:create', 'confirm:approve', 'plan:approve', 'governance:override'],
});

/** A pending confirm of a document, locked unless said otherwise. */
async function imported(locked = true): Promise<string> {
  const document = {
    meta: { protocol_version: '1.0.0', schema_version: '1.0.0' },
    ...{ confirm_id: newId(), target_type: 'plan', target_id: newId(), status: 'pending' },
    ...{ requested_by_role: 'planner', requested_at: '2026-01-01T10:00:00Z', governance: { locked } },
  };
  expect(validateProtocolObject('confirm', document)).toEqual([]);
  await rig.sql.begin(async (tx) => appendChange(tx, 'confirm', await confirmCodec.write(tx, alice, [document])));
  return document.confirm_id;
}

function cite(status: string, targetType: string, targetId: string): string {
  const confirmId = newId();
  rig.cited.set(confirmId, { status, targetType, targetId });
  return confirmId;
}

const cancel = (id: string, more = '') =>
  rig.ask(
    admin,
    `mutation ($id: ID!) { cancelConfirm(confirmId: $id${more}) { confirm { status } userErrors { code } } }`,
    {
      id,
    },
  );

test('a confirm that governance has locked is neither decided nor cancelled, escalated, nor ended by its deadline', async () => {
  const [id, open] = [await imported(), await imported(false)];
  const before = await rig.stored(id);
  for (const decision of ['APPROVED', 'REJECTED', 'DEFERRED'])
    expect(codesOf(await rig.decide(bob, id, decision))).toEqual(['GOVERNANCE_LOCKED']);
  expect((await cancel(id))['cancelConfirm']).toMatchObject({ userErrors: [{ code: 'GOVERNANCE_LOCKED' }] });
  const escalated = await rig.ask(
    admin,
    'mutation ($id: ID!) { escalateApproval(confirmId: $id, reason: "late") { userErrors { code } } }',
    { id },
  );
  expect(escalated['escalateApproval']).toMatchObject({ userErrors: [{ code: 'GOVERNANCE_LOCKED' }] });
  expect(await rig.stored(id)).toBe(before);

  await rig.sql`UPDATE confirm.confirm SET next_deadline_at = now() - interval '1 hour', expires_at = now() - interval '1 hour'`;
  const late = await rig.stored(id);
  await rig.ask(admin, 'mutation { processEscalations { expired } }');
  expect(await rig.stored(id)).toBe(late);
  expect(await rig.stored(open)).toContain('"expired"');
});

test('an override that cites an approved Confirm about it lets a decision pass, and stays in its governance', async () => {
  const id = await imported();
  const good = cite('APPROVED', 'OTHER', id);
  const override = (confirmId: string) => ({ override: { confirmId, reason: 'it was wrong' } });
  for (const bad of [
    newId(),
    cite('REJECTED', 'OTHER', id),
    cite('APPROVED', 'OTHER', newId()),
    cite('APPROVED', 'PLAN', id),
  ])
    expect(codesOf(await rig.decide(governor, id, 'APPROVED', override(bad)))).toEqual(['CONFIRM_NOT_APPROVED']);
  await expect(rig.decide(bob, id, 'APPROVED', override(good))).rejects.toThrow('governance:override');
  expect(await rig.decide(governor, id, 'APPROVED', override(good))).toMatchObject({
    ...{ confirm: { status: 'APPROVED' }, userErrors: [] },
  });
  const document = (await confirmCodec.read(rig.sql, 'one', [id])).get(id)!;
  expect(document['governance']).toEqual({
    ...{ locked: true, lastConfirmRef: { id: good, module: 'confirm', description: 'it was wrong' } },
  });
  expect(validateProtocolObject('confirm', document)).toEqual([]);

  const other = await imported();
  const ended = await cancel(other, `, override: { confirmId: "${cite('APPROVED', 'OTHER', other)}" }`);
  expect(ended['cancelConfirm']).toMatchObject({ confirm: { status: 'CANCELLED' }, userErrors: [] });
});
