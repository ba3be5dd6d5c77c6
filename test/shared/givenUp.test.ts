import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLocalBus } from '#shared/bus.ts';
import { Cancellation, runCancellable } from '#shared/cancellation.ts';
import { readConfig } from '#shared/config.ts';
import { settledPositionsOf } from '#shared/eventSource.ts';
import { createPrincipal } from '#shared/principal.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { createSearchReplicas } from '../../subgraphs/context/search/replicas.ts';
import { createCallRates } from '../../subgraphs/core/callRates.ts';
import { createIndexes } from '../../subgraphs/extension/discovery/indexes.ts';
import { createDecisionAudit } from '../../subgraphs/role/decisionAudit.ts';
import { createRoleReplicas } from '../../subgraphs/role/replicas.ts';
import { createTestDatabase } from '../support/database.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let sql: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { max: 4, applicationName: 'given-up' });
});
afterAll(async () => {
  await sql?.end();
  await database?.[Symbol.asyncDispose]();
});

const logger = pino({ level: 'silent' });
const bus = createLocalBus((error) => {
  throw error;
});

/** As a query does whose client has gone: what it still sends is refused. */
function givenUp<T>(work: () => T): T {
  const cancellation = new Cancellation();
  cancellation.cancel();
  return runCancellable(cancellation, work);
}

const within = (work: Promise<unknown>, ms = 5_000) =>
  Promise.race([
    work.then(
      () => 'done',
      (error: unknown) => String(error),
    ),
    new Promise((resolve) => setTimeout(resolve, ms, 'waits for ever')),
  ]);

// Whoever happens to ask first is not to take it away from those who wait for the same.
describe('what several wait for outlives the query that began it', () => {
  it('the roles of a tenant, read the first time and anew', async () => {
    const replicas = createRoleReplicas({ sql, bus, logger });
    const first = givenUp(() => replicas.load('one'));
    expect(await within(Promise.all([first, replicas.load('one')]))).toBe('done');
    void givenUp(() => replicas.catchUp('one'));
    expect(await within(replicas.catchUp('one'))).toBe('done');
    await replicas.close();
  });

  it('decisions that are to be stored', async () => {
    const audit = createDecisionAudit({ sql, logger });
    givenUp(() =>
      audit.record({
        ...{ tenantId: 'one', subjectId: 'asker', askedBy: 'asker', source: 'check', action: 'read' },
        ...{ resourceType: 'plan', resourceId: null, contextId: null, decision: 'DENY', reason: 'no_roles' },
        ...{ grantingRoleId: null, permissionId: null, evaluationUs: 1 },
      }),
    );
    await expect.poll(() => audit.waiting, { timeout: 5_000 }).toBe(0);
    expect(await sql`SELECT count(*)::int AS count FROM role.decision WHERE subject_id = 'asker'`).toEqual([
      { count: 1 },
    ]);
    await audit.close();
  });

  it('indexes of extensions and of contexts', async () => {
    const indexes = createIndexes({ sql, bus, maxBytes: 1e6 });
    const first = givenUp(() => indexes.current('one', undefined));
    expect(await within(Promise.all([first, indexes.current('one', undefined)]))).toBe('done');
    const replicas = createSearchReplicas({ sql, bus, config: readConfig({ NODE_ENV: 'test' }), logger });
    expect(givenUp(() => replicas.find('one'))).toBe(null);
    expect(await replicas.await('one')).not.toBe(null);
    replicas.close();
  });

  it('the share of a rate that is claimed', async () => {
    const rates = createCallRates({ sql, config: readConfig({ NODE_ENV: 'test' }) });
    const scope = { principal: createPrincipal({ tenantId: 'one', subject: 'asker', scopes: [] }) };
    const first = givenUp(() => rates.take(scope, 'status'));
    expect(await within(Promise.all([first, rates.take(scope, 'status')]))).toBe('done');
  });

  it('how far events have settled', async () => {
    const positions = settledPositionsOf(sql, 'role');
    const first = givenUp(() => positions.reach(1_000));
    expect(await within(Promise.all([first, positions.reach(1_000)]))).toBe('done');
  });
});
