import type { Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import postgres from '#shared/postgresDriver.ts';
import { readTenantRows, waitUntilQuiet } from '../../contract/walk/rows.ts';
import { readApi } from '../../contract/walk/schema.ts';
import { seedWorld, type World } from '../../contract/walk/seed.ts';
import { type HostedPlatform, hostPlatform } from '../../support/platform.ts';
import { type Subscription, subscribe } from '../../support/subscribe.ts';
import { type Json, until } from '../rig.ts';
import { ask, codeOf, erase, erasing, placesOf } from './rig.ts';

const subject = 'ann-x7@example.org';
let platform: HostedPlatform;
let sql: Sql;
let boss: string;
let ann: string;
let here: World;
/** A socket of the subject's that follows its context. */
let socket: Subscription<unknown>;
/** What the erasure left, found once. */
let erased: Json;
let counted: Json;
let elsewhere: ReadonlyMap<string, readonly string[]>;

let positions: readonly unknown[];
const owner = 'query ($id: ID!) { context(contextId: $id) { ownerId } }';
const positionsOf = () =>
  sql`SELECT stream_id, sequence, position, created_at FROM context.event WHERE tenant_id = 'here' AND type LIKE 'context.%' ORDER BY position`;

const mayOpen = async (subjectId: string): Promise<boolean> => {
  const { checkPermission } = await ask(
    platform,
    boss,
    'query ($input: CheckPermissionInput!) { checkPermission(input: $input) { granted } }',
    { input: { subjectId, action: 'open', resource: { type: 'vault' } } },
  );
  return checkPermission.granted;
};
const byTable = ({ counts }: Json) =>
  Object.fromEntries(counts.map(({ module, table, rows }: Json) => [`${module}.${table}`, rows]));
const settled = async (tenant: string) => {
  await waitUntilQuiet(sql, tenant);
  return readTenantRows(sql, tenant);
};

beforeAll(async () => {
  platform = await hostPlatform({ env: { METRIC_HISTORY: 'off', LOG_STORE: 'off', TRACE_HISTORY: 'off' } });
  sql = postgres(platform.databaseUrl, { max: 1, onnotice: () => {} });
  boss = await platform.token({ tenant: 'here', subject: 'boss', roles: ['admin'] });
  ann = await platform.token({ tenant: 'here', subject, roles: ['admin'] });
  const stranger = await platform.token({ tenant: 'elsewhere', subject, roles: ['admin'] });
  const api = readApi();
  here = await seedWorld(platform, api, { tenant: 'here', owner: subject, token: ann, watched: false }, 1);
  await seedWorld(platform, api, { tenant: 'elsewhere', owner: subject, token: stranger, watched: false }, 1);
  const [open] = await sql<{ id: string }[]>`
    SELECT a.confirm_id AS id FROM confirm.approver a JOIN confirm.confirm c ON c.tenant_id = a.tenant_id AND c.id = a.confirm_id
    WHERE a.tenant_id = 'here' AND a.subject = ${subject} AND c.confirmation_type = 'task_approval'`;
  const decision = { confirmId: open!.id, decision: 'APPROVED', rationale: 'as it should be' };
  const { processApproval } = await ask(
    platform,
    ann,
    'mutation ($input: ApprovalDecisionInput!) { processApproval(input: $input) { userErrors { code message } } }',
    { input: decision },
  );
  if (processApproval.userErrors.length > 0) throw new Error(JSON.stringify(processApproval.userErrors));
  const { createRole } = await ask(
    platform,
    boss,
    'mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { code message } } }',
    { input: { name: 'opener', permissions: [{ resourceType: 'vault', actions: ['open'] }] } },
  );
  const { assignRole } = await ask(
    platform,
    boss,
    'mutation ($input: AssignRoleInput!) { assignRole(input: $input) { userErrors { code message } } }',
    { input: { roleId: createRole.role.id, subjectId: subject } },
  );
  expect([createRole.userErrors, assignRole.userErrors]).toEqual([[], []]);
  expect(await mayOpen(subject)).toBe(true);
  // The decision is written down behind its answer.
  const written = () => sql`SELECT 1 FROM role.decision WHERE tenant_id = 'here' AND resource_type = 'vault'`;
  await until(written, ({ length }) => length > 0, 10_000);
  socket = subscribe({
    url: platform.url,
    query: 'subscription ($id: ID!) { contextUpdates(contextId: $id) { sequence } }',
    variables: { id: here.ids['contextId'] },
    token: ann,
  });
  await settled('here');
  elsewhere = await settled('elsewhere');
}, 300_000);
afterAll(async () => {
  await sql?.end();
  await platform?.close();
});

describe('the erasure of a subject', () => {
  it('is for who may, upon a stepped-up authentication, and of subjects alone', async () => {
    const member = await platform.token({ tenant: 'here', subject: 'bob', roles: ['member'] });
    const weak = await platform.token({ tenant: 'here', subject: 'boss', roles: ['admin'], acr: 'pwd' });
    const input = { subject: 'nobody' };
    expect(await codeOf(platform, member, erasing, { input })).toBe('PERMISSION_DENIED');
    expect(await codeOf(platform, weak, erasing, { input })).toBe('STEP_UP_REQUIRED');
    for (const wrong of [{ subject: '' }, { subject: 'a b' }, { subject: 'a', graceSeconds: -1 }])
      expect(await codeOf(platform, boss, erasing, { input: wrong })).toBe('VALIDATION_FAILED');
  });

  it('counts without changing anything where that is all that is asked', async () => {
    const before = await settled('here');
    positions = await positionsOf();
    expect(socket.errors).toEqual([]);
    expect((await ask(platform, boss, owner, { id: here.ids['contextId'] })).context.ownerId).toBe(subject);
    counted = await erase(platform, boss, { subject, dryRun: true });
    expect(counted).toMatchObject({ status: 'DONE', dryRun: true, subject, certificate: null, requestedBy: 'boss' });
    expect(counted.rowCount).toBeGreaterThan(100);
    const after = await settled('here');
    for (const [table, rows] of before) {
      // What is new tells of the counting, and names nobody.
      if (!/erasure|\.event$|\.audit|stream_head/.test(table)) expect(after.get(table), table).toEqual(rows);
    }
  }, 120_000);

  it('leaves the subject nowhere save in what it says stays, and as much as was counted', async () => {
    erased = await erase(platform, boss, { subject, reason: `asked by ${subject}` });
    expect(erased).toMatchObject({ status: 'DONE', progress: 1, subject: erased.pseudonym, requestedBy: 'boss' });
    expect(erased.reason).toBe(`asked by ${erased.pseudonym}`);
    expect(byTable(erased)).toEqual(byTable(counted));
    const { n: neighbours } = (
      await sql`SELECT count(*)::int AS n FROM confirm.approver WHERE tenant_id = 'here' AND subject = ${`${subject}-too`}`
    )[0]!;
    expect(neighbours).toBe(1);
    await settled('here');
    const exempt = new Set(
      erased.exemptions.flatMap(({ module, table, columns }: Json) =>
        columns.map((column: string) => `${module}.${table}.${column}`),
      ),
    );
    const left = (await placesOf(sql, 'here', subject, `${subject}-too`)).filter((place) => !exempt.has(place));
    expect(left).toEqual([]);
    expect(erased.exemptions.map(({ module, table }: Json) => `${module}.${table}`)).toContain('confirm.decision');
    const places = Object.keys(byTable(erased));
    for (const module of [
      'collab',
      'confirm',
      'context',
      'core',
      'dialog',
      'extension',
      'network',
      'plan',
      'platform',
      'role',
      'trace',
    ])
      expect(
        places.some((place) => place.startsWith(`${module}.`)),
        module,
      ).toBe(true);
  }, 240_000);

  it('leaves the chains of the audit and of confirms whole', async () => {
    const { verifyAuditChain } = await ask(platform, boss, '{ verifyAuditChain { valid problems { message } } }');
    expect(verifyAuditChain).toEqual({ valid: true, problems: [] });
    const rows = await sql<
      { id: string }[]
    >`SELECT DISTINCT confirm_id AS id FROM confirm.decision WHERE tenant_id = 'here'`;
    expect(rows.length).toBeGreaterThan(0);
    for (const { id } of rows) {
      const document = 'query ($id: ID!) { verifyDecisions(confirmId: $id) { valid } }';
      expect(await ask(platform, boss, document, { id })).toEqual({ verifyDecisions: { valid: true } });
    }
  });

  it('keeps what refers to the subject together under one pseudonym', async () => {
    // Asked before, and answered from a cache then.
    const { context } = await ask(platform, boss, owner, { id: here.ids['contextId'] });
    expect(context.ownerId).toBe(erased.pseudonym);
    const senders = await sql<{ sender: string; text: string }[]>`
      SELECT sender_subject AS sender, text FROM dialog.message WHERE tenant_id = 'here' AND sender_subject = ${erased.pseudonym}`;
    expect(senders.length).toBeGreaterThan(0);
    for (const { text } of senders) expect([null, '[erased]']).toContain(text);
    expect(await positionsOf()).toEqual(positions);
  });

  it('does not touch another tenant, where somebody has the same name', async () => {
    expect(await settled('elsewhere')).toEqual(elsewhere);
  }, 60_000);

  it('closes the sockets it had, and leaves its rights to the pseudonym, in what decides too', async () => {
    await expect.poll(() => socket.errors, { timeout: 10_000 }).toMatchObject([{ code: 4403 }]);
    await socket.close();
    await expect.poll(() => mayOpen(erased.pseudonym), { timeout: 10_000 }).toBe(true);
    expect(await mayOpen(subject)).toBe(false);
  });

  it('refuses the tokens it had; one that is issued later is a new subject', async () => {
    expect((await platform.query('{ me { subject } }', {}, { token: ann })).status).toBe(401);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const anew = await platform.token({ tenant: 'here', subject, roles: ['admin'] });
    const { me } = await ask(platform, anew, '{ me { subject } }');
    expect(me.subject).toBe(subject);
    const { apiTokens } = await ask(platform, anew, '{ apiTokens { nodes { id } } }');
    expect(apiTokens.nodes).toEqual([]);
  });

  it('is done once for a key, and can be taken back before it begins', async () => {
    const input = { subject: 'later', graceSeconds: 600, idempotencyKey: 'once' };
    const first = (await ask(platform, boss, erasing, { input })).eraseSubject.erasure;
    const second = (await ask(platform, boss, erasing, { input })).eraseSubject.erasure;
    expect(second.id).toBe(first.id);
    expect(await codeOf(platform, boss, erasing, { input: { subject: 'later' } })).toBe('INVALID_STATE');
    const cancelling =
      'mutation ($id: ID!) { cancelSubjectErasure(id: $id) { erasure { status cancelledBy } userErrors { code } } }';
    const { cancelSubjectErasure } = await ask(platform, boss, cancelling, { id: first.id });
    expect(cancelSubjectErasure).toEqual({ erasure: { status: 'CANCELLED', cancelledBy: 'boss' }, userErrors: [] });
    expect(await codeOf(platform, boss, cancelling, { id: erased.id })).toBe('INVALID_STATE');
    const stranger = await platform.token({ tenant: 'elsewhere', subject: 'boss', roles: ['admin'] });
    expect(await codeOf(platform, stranger, cancelling, { id: first.id })).toBe('NOT_FOUND');
  });
});
