import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSql } from '#shared/sql.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

interface AuditRow {
  readonly module: string;
  readonly action: string;
  readonly resource: string;
  readonly resourceId: string;
  readonly actor: string;
  readonly correlationId: string | null;
  readonly tokenId: string | null;
  readonly roles: readonly string[] | null;
  readonly instance: string | null;
  readonly address: string | null;
  readonly userAgent: string | null;
  readonly detail: Record<string, unknown>;
}

const list = `query ($filter: PlatformAuditFilter) { auditEvents(filter: $filter, first: 100) { nodes {
  module action resource resourceId actor correlationId tokenId roles instance address userAgent detail } } }`;
const create = `mutation { createContext(input: { title: "traced", root: { domain: "d", environment: "e" } }) {
  context { id } userErrors { code } } }`;

/** Rows of an action in the operators' tenant. */
function openSql(url: string) {
  const sql = createSql(url, { applicationName: 'audited-access', max: 1 });
  return {
    rows: async (action: string) =>
      (await sql`
        SELECT actor, resource, resource_id AS "resourceId", detail FROM platform.audit
        WHERE tenant_id = 'demo' AND action = ${action}`) as unknown as AuditRow[],
    [Symbol.asyncDispose]: () => sql.end(),
  };
}

const idOf = (token: string): string => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString('utf8')).jti;

describe.each(modes)('the audit of access, %s', (mode) => {
  let platform: Platform;
  let auditor: string;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    auditor = await platform.token({ tenant: 'watched', subject: 'auditor', roles: ['admin'] });
  });
  afterAll(() => platform.close());

  async function rows(filter: object): Promise<AuditRow[]> {
    const { data, errors } = await platform.query<{ auditEvents: { nodes: AuditRow[] } }>(
      list,
      { filter },
      { token: auditor },
    );
    expect(errors).toEqual([]);
    return data!.auditEvents.nodes;
  }
  async function eventually(
    read: () => Promise<AuditRow[]>,
    isAll = (found: readonly AuditRow[]) => found.length > 0,
  ): Promise<AuditRow[]> {
    for (let tries = 0; tries < 200; tries += 1) {
      const found = await read();
      if (isAll(found)) return found;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('it never came into the audit');
  }

  it('says of a change by which token, roles, address and client it was made', async () => {
    const correlationId = `change-${mode.length}`;
    const { data, headers } = await platform.query<{ createContext: { context: { id: string } } }>(
      create,
      {},
      { token: auditor, headers: { 'user-agent': 'planner/1.0', 'x-correlation-id': correlationId } },
    );
    const { id } = data!.createContext.context;
    expect(headers.get('x-correlation-id')).toBe(correlationId);
    const [row] = await eventually(() => rows({ resourceId: id, actions: ['context.*'] }));
    expect(row).toMatchObject({
      actor: 'auditor',
      correlationId,
      tokenId: idOf(auditor),
      roles: ['admin'],
      instance: expect.stringMatching(/^[0-9a-f-]{36}$/),
      address: expect.stringMatching(/127\.0\.0\.1$/),
      userAgent: 'planner/1.0',
    });
    expect((await rows({ correlationId })).some(({ resourceId }) => resourceId === id)).toBe(true);
    expect(await rows({ tokenId: 'another' })).toEqual([]);
    expect(await rows({ resourceId: id, address: '203.0.113.9' })).toEqual([]);
  });

  it('hides addresses and clients from who may not look into it, and finds nothing by them', async () => {
    const reader = await platform.token({ tenant: 'watched', subject: 'reader', roles: [], scopes: ['audit:read'] });
    const ask = async (document: string) => (await platform.query(document, {}, { token: reader })).errors[0];
    expect(await ask('{ auditEvents { nodes { actor tokenId roles } } }')).toBeUndefined();
    for (const document of [
      '{ auditEvents { nodes { address } } }',
      '{ auditEvents { nodes { userAgent } } }',
      '{ auditEvents(filter: { address: "127.0.0.1" }) { nodes { id } } }',
    ])
      expect((await ask(document))?.extensions.code).toBe('PERMISSION_DENIED');
  });

  it('has each token once that was accepted, and what was refused to it', async () => {
    const member = await platform.token({
      tenant: 'watched',
      subject: 'mallory',
      roles: [],
      scopes: ['context:read'],
    });
    for (let times = 0; times < 3; times += 1)
      await platform.query('{ alias: events { nodes { id } } }', {}, { token: member });
    const countOf = (found: readonly AuditRow[]) => found.reduce((sum, { detail }) => sum + Number(detail['count']), 0);
    // Three requests may fall into two of the intervals after which what was counted is written.
    const denied = await eventually(
      () => rows({ actor: 'mallory', actions: ['access.refused'] }),
      (found) => countOf(found) >= 3,
    );
    expect(denied[0]).toMatchObject({
      resource: 'Operation',
      resourceId: 'events',
      detail: { code: 'PERMISSION_DENIED' },
    });
    expect(countOf(denied)).toBe(3);
    const accepted = await eventually(() => rows({ actor: 'mallory', actions: ['authentication.accepted'] }));
    expect(accepted).toMatchObject([{ resource: 'Token', resourceId: idOf(member), detail: { count: 1, roles: [] } }]);
  });

  it('keeps of tokens that are none why and from where they were refused, for the operators alone', async () => {
    await platform.query('{ me { subject } }', {}, { token: 'no.token.atall' });
    await using sql = openSql(platform.databaseUrl);
    const read = () => sql.rows('authentication.refused');
    const [refused] = await eventually(read);
    expect(refused).toMatchObject({
      actor: 'anonymous',
      resource: 'Token',
      resourceId: expect.stringMatching(/127\.0\.0\.1$/),
      detail: { reason: expect.any(String), count: expect.any(Number) },
    });
    expect(await rows({ actions: ['authentication.refused'] })).toEqual([]);
  });
});
