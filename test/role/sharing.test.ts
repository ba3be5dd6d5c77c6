import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { createAssignments } from '../../subgraphs/role/assignments.ts';
import { createRoleCommands, type RoleCommand } from '../../subgraphs/role/commands.ts';
import { readRoleLimits } from '../../subgraphs/role/limits.ts';
import { codesOf, type Json, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const traceparent = '00-11111111111111111111111111111111-2222222222222222-01';
const roleNames = ['payer', 'approver', 'senior', 'single', 'plain'] as const;

interface Attempt {
  readonly role: (typeof roleNames)[number];
  readonly subject: string;
  readonly key: string | undefined;
}

/** A tenant of its own with the same roles: some separated, one for two holders. */
async function openTenant() {
  const tenantId = newId();
  const by = principal('admin', { tenantId, scopes: ['*'] });
  const payer = await rig.role({ name: 'payer' }, by);
  const separationOfDuties = [{ conflictingRoles: [payer], severity: 'ERROR' }];
  const approver = await rig.role({ name: 'approver', separationOfDuties }, by);
  const ids: Record<Attempt['role'], string> = {
    payer,
    approver,
    senior: await rig.role({ name: 'senior', parents: [{ roleId: approver }] }, by),
    single: await rig.role({ name: 'single', maxHolders: 2 }, by),
    plain: await rig.role({ name: 'plain' }, by),
  };
  const scope = () => createRequestScope({ principal: by, correlationId: newId(), traceparent });

  /** What the attempt came to, in words that are the same in every tenant. */
  async function assign({ role, subject, key }: Attempt): Promise<{ said: string; id: string | null }> {
    try {
      const { id, existed } = await rig.service.assignments.assign(scope(), {
        roleId: ids[role],
        subjectId: subject,
        type: 'MANUAL',
        requestException: false,
        ...(key === undefined ? {} : { idempotencyKey: key }),
      });
      return { said: existed === true ? 'existed' : 'assigned', id: String(id) };
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      return { said: error.code, id: null };
    }
  }

  async function readState() {
    const rows = await rig.sql`
      SELECT r.name, a.subject_id AS subject, a.status FROM role.assignment a JOIN role.role r ON r.tenant_id = a.tenant_id AND r.id = a.role_id
      WHERE a.tenant_id = ${tenantId} ORDER BY 1, 2`;
    const events = await rig.sql`
      SELECT data->'assignment'->>'subjectId' AS subject, type FROM role.event WHERE tenant_id = ${tenantId} AND type = 'role.assigned' ORDER BY 1`;
    const audit = await rig.sql`
      SELECT detail->>'subjectId' AS subject FROM role.audit WHERE tenant_id = ${tenantId} AND action = 'role.assign' ORDER BY 1`;
    return JSON.parse(JSON.stringify({ rows, events: events.length, audit: audit.length })) as unknown;
  }

  const readRevision = async () =>
    Number((await rig.sql`SELECT revision FROM role.tenant WHERE tenant_id = ${tenantId}`)[0]!['revision']);
  return { tenantId, by, ids, scope, assign, readState, readRevision };
}

const attempts = fc.array(
  fc.record({
    role: fc.constantFrom(...roleNames),
    subject: fc.constantFrom('s0', 's1', 's2', 's3', 's4', 's5', 's6', 's7'),
    key: fc.option(fc.constantFrom('k0', 'k1', 'k2', 'k3'), { nil: undefined, freq: 3 }),
  }),
  { minLength: 50, maxLength: 50 },
);

test('fifty assignments at once come to what they come to one after the other, in few transactions', async () => {
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(attempts, async (given) => {
      const [together, alone] = [await openTenant(), await openTenant()];
      const before = await together.readRevision();
      const answers = await Promise.all(given.map((attempt) => together.assign(attempt)));
      const expected: { said: string; id: string | null }[] = [];
      for (const attempt of given) expected.push(await alone.assign(attempt));
      expect(answers.map(({ said }) => said)).toEqual(expected.map(({ said }) => said));
      // The same assignment where it is the same one by one.
      const places = (list: typeof answers) =>
        list.map(({ id }) => (id === null ? -1 : list.findIndex((one) => one.id === id)));
      expect(places(answers)).toEqual(places(expected));
      expect(await together.readState()).toEqual(await alone.readState());
      expect((await together.readRevision()) - before).toBeLessThanOrEqual(3);
      for (const { said } of answers) seen.set(said, (seen.get(said) ?? 0) + 1);
    }),
    { numRuns: 8 },
  );
  for (const said of ['assigned', 'existed', 'SOD_VIOLATION', 'CARDINALITY_EXCEEDED', 'IDEMPOTENCY_MISMATCH'])
    expect(seen.get(said) ?? 0, said).toBeGreaterThan(0);
}, 120_000);

test('a batch in which one command breaks, before or after writing, does without it alone', async () => {
  const { by, tenantId, ids, scope, assign, readState } = await openTenant();
  const commands = createRoleCommands(rig.runtime, rig.service.replicas);
  const assignments = createAssignments(commands, {
    contexts: rig.service.contexts,
    hooks: rig.service.hooks,
    limits: readRoleLimits(rig.runtime.config),
  });
  const command = (decide: RoleCommand['decide']): Promise<unknown> =>
    commands.add({ scope: { principal: by, traceparent }, idempotent: null, decide });
  const input = (subjectId: string) => ({ roleId: ids.plain, subjectId, type: 'MANUAL', requestException: false });
  const saved = async (work: Parameters<RoleCommand['decide']>[0], id: string) =>
    work.saveAssignments([{ ...(await work.findAssignment(id))!, subjectId: 'nobody' }]);
  const first = await assign({ role: 'plain', subject: 'first', key: undefined });
  const results = await Promise.allSettled([
    assignments.assign(scope(), input('a')),
    // It refuses with half of its work saved.
    command(async (work) => {
      await saved(work, first.id!);
      throw new PlatformError('CONFLICT', 'half done');
    }),
    assignments.assign(scope(), input('b')),
    command(async () => {
      throw new TypeError('a mistake of ours');
    }),
    // The database refuses what it reads.
    command(async (work) => ({ found: await work.tx.unsafe('SELECT $1::text::uuid', ['not an id']) })),
    // It refuses after it has written.
    command(async (work) => {
      await saved(work, first.id!);
      await work.storeAssignments();
      throw new PlatformError('CONFLICT', 'written');
    }),
    assignments.assign(scope(), input('c')),
    assignments.assign(scope(), input('a')),
  ]);
  expect(results.map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
    'rejected',
    'rejected',
    'rejected',
    'fulfilled',
    'fulfilled',
  ]);
  const answerOf = (at: number) => (results[at] as PromiseFulfilledResult<{ id: string; existed: boolean }>).value;
  expect(answerOf(7)).toMatchObject({ id: answerOf(0).id, existed: true });
  expect((await readState()) as object).toMatchObject({
    rows: ['a', 'b', 'c', 'first'].map((subject) => ({ name: 'plain', subject, status: 'active' })),
    events: 4,
    audit: 4,
  });
  // The deciding instance knows at once, and only what was committed.
  const { snapshot } = rig.service.replicas.peek(tenantId)!;
  for (const subject of ['a', 'b', 'c', 'first']) expect(snapshot.subjects.get(subject)?.assignments.length).toBe(1);
  expect(snapshot.subjects.get('nobody')).toBeUndefined();
  await commands.drain();
});

test('a command sees what its neighbours of the batch have left: rows not yet written, names, holders', async () => {
  const { by, ids, scope, assign } = await openTenant();
  const held = await assign({ role: 'plain', subject: 's', key: undefined });
  const { assignments, roles } = rig.service;
  const input = { roleId: ids.plain, subjectId: 's', type: 'MANUAL', requestException: false };
  const [revoked, again, twice, deleted, named, namesake] = await Promise.allSettled([
    assignments.revoke(scope(), held.id!, { reason: 'over' }),
    assignments.assign(scope(), input),
    assignments.revoke(scope(), held.id!, { reason: 'over again' }),
    roles.remove(scope(), ids.plain, {}),
    rig.createRole(by, { name: 'new' }),
    rig.createRole(by, { name: 'new' }),
  ]);
  expect(revoked).toMatchObject({ status: 'fulfilled' });
  expect(again).toMatchObject({ status: 'fulfilled', value: { existed: false } });
  expect(twice).toMatchObject({ status: 'rejected', reason: { code: 'INVALID_STATE_TRANSITION' } });
  expect(deleted).toMatchObject({ status: 'rejected', reason: { code: 'ROLE_IN_USE' } });
  const codes = [named, namesake].map((settled) => codesOf((settled as PromiseFulfilledResult<Json>).value));
  expect(codes.toSorted()).toEqual([[], ['DUPLICATE_ROLE']]);
});
