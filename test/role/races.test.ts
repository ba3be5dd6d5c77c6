import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { createAssignments } from '../../subgraphs/role/assignments.ts';
import { createRoleCommands } from '../../subgraphs/role/commands.ts';
import { readRoleLimits } from '../../subgraphs/role/limits.ts';
import { createRoleReplicas } from '../../subgraphs/role/replicas.ts';
import { openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const traceparent = '00-11111111111111111111111111111111-2222222222222222-01';

/** An instance of its own on the same database: other replicas, other batches, no bus between. */
function openInstance() {
  const replicas = createRoleReplicas({
    sql: rig.sql,
    bus: { ...rig.bus, subscribe: () => () => {} },
    logger: rig.runtime.logger,
  });
  const commands = createRoleCommands(rig.runtime, replicas);
  return {
    assignments: createAssignments(commands, {
      contexts: rig.service.contexts,
      hooks: rig.service.hooks,
      limits: readRoleLimits(rig.runtime.config),
    }),
    replicas,
    commands,
  };
}

const attempts = fc.array(
  fc.record({
    role: fc.constantFrom('payer', 'approver', 'senior', 'single'),
    subject: fc.constantFrom('s0', 's1', 's2'),
    place: fc.constantFrom('none', 'one', 'two'),
    instance: fc.nat({ max: 1 }),
  }),
  { minLength: 6, maxLength: 24 },
);

test('assignments at the same time, on two instances, break neither separation nor a limit of holders', async () => {
  let refusals = 0;
  await fc.assert(
    fc.asyncProperty(attempts, async (given) => {
      const tenantId = newId();
      const by = principal('admin', { tenantId, scopes: ['*'] });
      const payer = await rig.role({ name: 'payer' }, by);
      const separationOfDuties = [{ conflictingRoles: [payer], severity: 'ERROR' }];
      const approver = await rig.role({ name: 'approver', separationOfDuties }, by);
      const ids: Record<string, string> = {
        payer,
        approver,
        senior: await rig.role({ name: 'senior', parents: [{ roleId: approver }] }, by),
        single: await rig.role({ name: 'single', maxHolders: 1 }, by),
      };
      const places: Record<string, string> = { one: rig.openContext(tenantId), two: rig.openContext(tenantId) };
      const instances = [openInstance(), openInstance()];
      const codes = await Promise.all(
        given.map(async ({ role, subject, place, instance }) => {
          const scope = createRequestScope({ principal: by, correlationId: newId(), traceparent });
          const contextId = places[place];
          try {
            await instances[instance]!.assignments.assign(scope, {
              roleId: ids[role],
              subjectId: subject,
              type: 'MANUAL',
              requestException: false,
              ...(contextId === undefined ? {} : { contextId }),
            });
            return null;
          } catch (error) {
            if (!(error instanceof PlatformError)) throw error;
            return error.code;
          }
        }),
      );
      for (const { commands, replicas } of instances) {
        await commands.drain();
        await replicas.close();
      }
      for (const code of codes) expect([null, 'SOD_VIOLATION', 'CARDINALITY_EXCEEDED']).toContain(code);
      refusals += codes.filter((code) => code !== null).length;
      const rows = await rig.sql`
        SELECT subject_id, role_id, context_id FROM role.assignment WHERE tenant_id = ${tenantId} AND status = 'active'`;
      const held = Map.groupBy(rows, (row) => String(row['subject_id']));
      for (const mine of held.values()) {
        const roles = new Set(mine.map((row) => String(row['role_id'])));
        const approves = roles.has(ids['approver']!) || roles.has(ids['senior']!);
        expect(roles.has(payer) && approves).toBe(false);
        expect(new Set(mine.map((row) => `${row['role_id']} ${row['context_id']}`)).size).toBe(mine.length);
      }
      const holders = rows.filter((row) => row['role_id'] === ids['single']).map((row) => row['subject_id']);
      expect(new Set(holders).size).toBeLessThanOrEqual(1);
    }),
    { numRuns: 12 },
  );
  expect(refusals).toBeGreaterThan(0);
}, 60_000);
