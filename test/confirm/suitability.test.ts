import { afterAll, beforeAll, expect, test } from 'vitest';
import { alice, type ConfirmRig, openConfirmRig } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

async function askedBy(more: object = {}): Promise<unknown[]> {
  const payload = await rig.create(alice, {
    workflow: { type: 'SEQUENTIAL', steps: [{ approvers: [{ role: 'lead' }], ...more }] },
  });
  expect(payload['userErrors']).toEqual([]);
  const id = payload['confirm']!['id'];
  const rows = await rig.sql<{ subject: string }[]>`
    SELECT subject FROM confirm.approver WHERE confirm_id = ${String(id)} ORDER BY position`;
  return rows.map(({ subject }) => subject);
}

test('of a role those are asked first who can do more of it, are there, and have less to decide', async () => {
  const can = (level: string) => [{ name: 'audit', level }];
  rig.roles.current = new Map([
    [
      'lead',
      [
        { id: 'away', capabilities: can('MASTER'), attributes: { available: false } },
        { id: 'novice', capabilities: can('BEGINNER') },
        { id: 'master', capabilities: can('MASTER') },
        { id: 'robot', type: 'AGENT' },
        { id: 'later', capabilities: can('EXPERT'), attributes: { unavailableUntil: '2020-01-01T00:00:00Z' } },
      ],
    ],
  ]);
  expect(await askedBy({ capabilities: ['audit'] })).toEqual(['master', 'later', 'away', 'novice', 'robot']);
  // Without needs everyone can do it, people before machines, whoever is away last.
  expect(await askedBy()).toEqual(['later', 'master', 'novice', 'robot', 'away']);
});

test('of many the ten with the least to decide', async () => {
  const names = Array.from({ length: 12 }, (_, index) => `p${String(index).padStart(2, '0')}`);
  for (const busy of ['p00', 'p01']) await rig.open(alice, { approvers: [{ subject: busy }] });
  rig.roles.current = new Map([['lead', names]]);
  expect(await askedBy()).toEqual(names.slice(2));
});

test('by hierarchy the nearest are asked, as many as it takes to decide', async () => {
  rig.roles.current = new Map([
    [
      'lead',
      [
        { id: 'alice', distance: 0 },
        { id: 'head', distance: 1 },
        { id: 'deputy', distance: 1 },
        { id: 'chief', distance: 2 },
      ],
    ],
  ]);
  const approverSelection = 'ROLE_HIERARCHY';
  // Who asks decides nothing: the nearest are those above her.
  expect(await askedBy({ approverSelection })).toEqual(['deputy', 'head']);
  const three = { kind: 'AT_LEAST', required: 3 };
  expect(await askedBy({ approverSelection, quorum: three })).toEqual(['chief', 'deputy', 'head']);
  rig.roles.current.set('lead', [{ id: 'own', distance: 0 }, ...rig.roles.current.get('lead')!]);
  expect(await askedBy({ approverSelection })).toEqual(['own']);
  // By role alone whoever has the least to decide comes first, however far away.
  expect(await askedBy()).toEqual(['chief', 'own', 'deputy', 'head']);
});

test('by capability those are asked who have all that the step needs', async () => {
  const can = (...names: string[]) => names.map((name) => ({ name, level: 'BEGINNER' }));
  rig.roles.current = new Map([
    [
      'lead',
      [{ id: 'both', capabilities: can('audit', 'law') }, { id: 'one', capabilities: can('audit') }, { id: 'none' }],
    ],
  ]);
  const approverSelection = 'CAPABILITY_BASED';
  expect(await askedBy({ approverSelection, capabilities: ['audit', 'law'] })).toEqual(['both']);
  expect(await askedBy({ approverSelection, capabilities: ['audit'] })).toEqual(['one', 'both']);
  const refused = await rig.create(alice, {
    workflow: { type: 'SEQUENTIAL', steps: [{ approvers: [{ role: 'lead' }], approverSelection }] },
  });
  expect(refused['userErrors']).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
  const nobody = await rig.create(alice, {
    workflow: {
      type: 'SEQUENTIAL',
      steps: [{ approvers: [{ role: 'lead' }], approverSelection, capabilities: ['medicine'] }],
    },
  });
  expect(nobody['userErrors']).toMatchObject([{ code: 'NO_ELIGIBLE_APPROVER' }]);
});
