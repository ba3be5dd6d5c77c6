import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPrincipal } from '#shared/principal.ts';
import { followRevocations } from '../../../subgraphs/platform/security/revocationList.ts';
import { createTokenReader } from '../../../subgraphs/platform/security/tokenReader.ts';
import { type Json, openPlatformRig, type PlatformRig, principal, until } from '../rig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig({ env: { API_TOKENS_PER_SUBJECT: '3' } });
});
afterAll(() => rig[Symbol.asyncDispose]());

type Who = ReturnType<typeof principal>;
const token = 'apiToken { id name subject subjectType scopes status revokedBy expiresAt }';
const errors = 'userErrors { code path message }';
const issue = async (who: Who, input: Json): Promise<Json> =>
  rig.answer(
    who,
    `mutation ($input: IssueApiTokenInput!) { issueApiToken(input: $input) { ${token} token ${errors} } }`,
    { input: { name: 'ci', scopes: ['context:read'], ...input } },
  );
const issued = async (who: Who, input: Json = {}): Promise<Json> => {
  const { data, errors: problems } = await issue(who, input);
  expect([problems, data?.issueApiToken.userErrors]).toEqual([[], []]);
  return data.issueApiToken;
};
const revoke = async (who: Who, id: string): Promise<Json> =>
  (await rig.ask(who, `mutation ($id: ID!) { revokeApiToken(id: $id, reason: "lost") { ${token} ${errors} } }`, { id }))
    .revokeApiToken;
const list = async (who: Who, args = ''): Promise<Json[]> =>
  (await rig.ask(who, `{ apiTokens${args} { nodes { id name status lastUsedAt } } }`)).apiTokens.nodes;
const reader = () => createTokenReader({ sql: rig.sql, logger: rig.runtime.logger });
const revokeTokens = async (who: Who, input: Json): Promise<Json> =>
  rig.answer(
    who,
    `mutation ($input: RevokeTokensInput!) { revokeTokens(input: $input) { revocation { kind key reason notAfter expiresAt } ${errors} } }`,
    { input },
  );

describe('API tokens', () => {
  it('are told once, kept as a digest, and speak for their subject within their scopes', async () => {
    const who = principal('ann', 'issuing');
    const { apiToken, token: text } = await issued(who, { scopes: ['plan:read', 'context:*', 'plan:read'] });
    expect(apiToken).toMatchObject({
      name: 'ci',
      subject: 'ann',
      subjectType: 'AGENT',
      status: 'ACTIVE',
      scopes: ['context:*', 'plan:read'],
    });
    expect(Date.parse(apiToken.expiresAt) - Date.now()).toBeGreaterThan(89 * 86_400_000);
    // A secret may hold underscores itself.
    const secret = text.split('_').slice(2).join('_');
    expect(secret.length).toBeGreaterThan(20);
    const kept = await rig.sql`SELECT t::text AS row FROM platform.api_token t WHERE id = ${apiToken.id}`;
    const told = await rig.sql`SELECT data::text AS row FROM platform.event WHERE tenant_id = 'issuing'
      UNION ALL SELECT a::text FROM platform.audit a WHERE tenant_id = 'issuing'`;
    expect(told.length).toBeGreaterThan(1);
    for (const { row } of [...kept, ...told]) expect(row).not.toContain(secret);
    const speaks = await reader().read(text);
    expect(speaks).toMatchObject({
      tenantId: 'issuing',
      subject: 'ann',
      roles: [],
      scopes: ['context:*', 'plan:read'],
      tokenId: apiToken.id,
      isBounded: true,
    });
    expect(speaks.steppedUpUntilMs).toBeUndefined();
    await until(
      () => list(who),
      ([first]) => first.lastUsedAt !== null,
    );
  });

  it('hand on no more than their issuer has', async () => {
    const who = principal('ann', 'within', ['token:manage', 'context:read', 'plan:*']);
    expect((await issued(who, { scopes: ['plan:execute', 'plan:*'] })).apiToken.scopes).toEqual([
      'plan:*',
      'plan:execute',
    ]);
    for (const scope of ['context:write', 'context:*', '*:read', '*'])
      expect(await issue(who, { scopes: [scope] })).toMatchObject({
        errors: [{ extensions: { code: 'PERMISSION_DENIED' } }],
      });
    expect(await issue(who, { subject: 'bob' })).toMatchObject({
      errors: [{ extensions: { code: 'PERMISSION_DENIED' } }],
    });
    expect(await list(who)).toHaveLength(1);
  });

  it('need a stepped-up authentication, which an API token never is', async () => {
    const weak = createPrincipal({ tenantId: 'weak', subject: 'ann', scopes: ['*'] });
    const stale = createPrincipal({
      tenantId: 'weak',
      subject: 'ann',
      scopes: ['*'],
      steppedUpUntilMs: Date.now() - 1,
    });
    for (const who of [weak, stale])
      expect(await issue(who, {})).toMatchObject({
        data: null,
        errors: [{ extensions: { code: 'STEP_UP_REQUIRED' } }],
      });
    const { token: text } = await issued(principal('ann', 'weak'), { scopes: ['*'] });
    expect(await issue(await reader().read(text), {})).toMatchObject({
      errors: [{ extensions: { code: 'STEP_UP_REQUIRED' } }],
    });
    expect(await list(principal('ann', 'weak'))).toHaveLength(1);
  });

  it.each([
    ['no name', { name: '' }, 'name'],
    ['no scopes', { scopes: [] }, 'scopes'],
    ['a scope that is none', { scopes: ['context'] }, 'scopes'],
    ['a life without end', { lifeDays: 367 }, 'lifeDays'],
    ['a subject that no token could name', { subject: 'a b' }, 'subject'],
  ])('are refused with %s', async (_, input, path) => {
    const who = principal('ann', 'refused');
    const { data } = await issue(who, input);
    expect(data.issueApiToken).toMatchObject({ apiToken: null, userErrors: [{ code: 'VALIDATION_FAILED' }] });
    expect(data.issueApiToken.userErrors[0].path).toContain(path);
    expect(await list(who)).toEqual([]);
  });

  it('are as many of a subject as allowed, also when they are asked for at once', async () => {
    const who = principal('ann', 'quota');
    const all = await Promise.all(Array.from({ length: 6 }, () => issue(who, {})));
    const codes = all.map(({ data }) => data.issueApiToken.userErrors[0]?.code ?? 'ok').sort();
    expect(codes).toEqual(['QUOTA_EXCEEDED', 'QUOTA_EXCEEDED', 'QUOTA_EXCEEDED', 'ok', 'ok', 'ok']);
    await revoke(who, (await list(who))[0]!.id);
    await issued(who);
    expect(
      (await issued(principal('boss', 'quota'), { subject: 'bob', subjectType: 'SERVICE' })).apiToken,
    ).toMatchObject({
      subject: 'bob',
      subjectType: 'SERVICE',
    });
  });

  it('are seen and ended by their subject and by administrators of the tenant, and by nobody else', async () => {
    const [ann, bob, boss] = [
      principal('ann', 'whose', ['token:manage', 'context:read']),
      principal('bob', 'whose', ['token:manage', 'context:read']),
      principal('boss', 'whose'),
    ];
    const { apiToken, token: text } = await issued(ann);
    const find = async (who: Who) =>
      (await rig.ask(who, 'query ($id: ID!) { apiToken(id: $id) { id } }', { id: apiToken.id })).apiToken;
    expect(await Promise.all([ann, bob, boss, principal('ann', 'elsewhere')].map(find))).toEqual([
      { id: apiToken.id },
      null,
      { id: apiToken.id },
      null,
    ]);
    expect(await list(bob)).toEqual([]);
    expect((await list(boss, '(subject: "ann")')).map(({ id }) => id)).toEqual([apiToken.id]);
    await expect(list(bob, '(subject: "ann")')).rejects.toThrow('token:admin');
    for (const who of [bob, principal('boss', 'elsewhere')])
      expect((await revoke(who, apiToken.id)).userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
    const read = reader();
    const speaks = await read.read(text);
    const follower = await followRevocations({ sql: rig.sql, bus: rig.runtime.bus, logger: rig.runtime.logger });
    expect(follower.isRevoked(speaks)).toBe(false);
    expect(await revoke(boss, apiToken.id)).toMatchObject({ apiToken: { status: 'REVOKED', revokedBy: 'boss' } });
    // Heard of by the event, and found by who starts later.
    await until(
      async () => follower.isRevoked(speaks),
      (isRevoked) => isRevoked,
    );
    const later = await followRevocations({ sql: rig.sql, bus: rig.runtime.bus, logger: rig.runtime.logger });
    expect(later.isRevoked(speaks)).toBe(true);
    await expect(async () => reader().read(text)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    // Again it changes nothing.
    expect(await revoke(ann, apiToken.id)).toMatchObject({
      apiToken: { status: 'REVOKED', revokedBy: 'boss' },
      userErrors: [],
    });
    follower.close();
    later.close();
  });

  it('say that they are revoked however that came about, and come back only where it was not for good', async () => {
    const [ann, boss] = [principal('ann', 'ways'), principal('boss', 'ways')];
    const status = async () => (await list(ann)).map((token) => token.status);
    const lift = async (kind: string, key: string) =>
      (
        await rig.ask(boss, `mutation { liftRevocation(kind: ${kind}, key: "${key}") { key userErrors { code } } }`)
      ).liftRevocation.userErrors.map(({ code }: Json) => code);
    const { token: text } = await issued(ann);
    const speaks = await reader().read(text);
    const id = speaks.tokenId!;
    expect((await rig.ask(speaks, 'mutation { logout { tokenId userErrors { code } } }')).logout.tokenId).toBe(id);
    expect(await status()).toEqual(['REVOKED']);
    expect(await lift('TOKEN', id)).toEqual([]);
    expect(await status()).toEqual(['ACTIVE']);
    await revokeTokens(boss, { kind: 'SUBJECT', key: 'ann' });
    expect(await status()).toEqual(['REVOKED']);
    expect(await lift('SUBJECT', 'ann')).toEqual([]);
    expect(await status()).toEqual(['ACTIVE']);
    await revoke(boss, id);
    expect(await lift('TOKEN', id)).toEqual(['INVALID_STATE']);
    expect(await status()).toEqual(['REVOKED']);
  });

  it('that are none, or whose secret is another’s, are refused alike', async () => {
    const { token: text } = await issued(principal('ann', 'forged'));
    const { token: other } = await issued(principal('bob', 'forged'));
    const swapped = `${text.slice(0, -43)}${other.slice(-43)}`;
    const unknown = `mplp_${'0'.repeat(12)}4000${'8'.repeat(16)}_${text.slice(-43)}`;
    for (const forged of [swapped, unknown, 'mplp_', `${text}x`])
      await expect(async () => reader().read(forged)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await reader().read(text)).toMatchObject({ subject: 'ann' });
  });

  it('end by themselves', async () => {
    const { token: text, apiToken } = await issued(principal('ann', 'ending'), { lifeDays: 1 });
    const tomorrow = Date.parse(apiToken.expiresAt);
    const at = (nowMs: number) => createTokenReader({ sql: rig.sql, logger: rig.runtime.logger, now: () => nowMs });
    expect(await at(tomorrow - 1).read(text)).toMatchObject({ expiresAtMs: tomorrow });
    await expect(async () => at(tomorrow).read(text)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

describe('revocations', () => {
  const issuedAt = (tenantId: string, subject: string, tokenId: string, issuedAtMs: number) =>
    createPrincipal({ tenantId, subject, tokenId, issuedAtMs });

  it('concern one token, or what a subject got until then, of their tenant alone', async () => {
    const boss = principal('boss', 'revoking');
    const follower = await followRevocations({ sql: rig.sql, bus: rig.runtime.bus, logger: rig.runtime.logger });
    expect((await revokeTokens(boss, { kind: 'TOKEN', key: 'j1', reason: 'leaked' })).data.revokeTokens).toMatchObject({
      revocation: { kind: 'TOKEN', key: 'j1', reason: 'leaked' },
      userErrors: [],
    });
    const { data } = await revokeTokens(boss, { kind: 'SUBJECT', key: 'eve' });
    const notAfter = Date.parse(data.revokeTokens.revocation.notAfter);
    const isRevoked = (...given: Parameters<typeof issuedAt>) => follower.isRevoked(issuedAt(...given));
    expect(isRevoked('revoking', 'ann', 'j1', notAfter)).toBe(true);
    expect(isRevoked('revoking', 'ann', 'j2', notAfter)).toBe(false);
    expect(isRevoked('other', 'ann', 'j1', notAfter)).toBe(false);
    expect(isRevoked('revoking', 'eve', 'j3', notAfter)).toBe(true);
    expect(isRevoked('revoking', 'eve', 'j3', notAfter + 1)).toBe(false);
    expect(isRevoked('other', 'eve', 'j3', notAfter)).toBe(false);
    // Who does not say when it was issued may be as old as any.
    expect(follower.isRevoked(createPrincipal({ tenantId: 'revoking', subject: 'eve' }))).toBe(true);
    const lift = 'mutation { liftRevocation(kind: TOKEN, key: "j1") { key userErrors { code } } }';
    expect((await rig.ask(boss, lift)).liftRevocation).toEqual({ key: 'j1', userErrors: [] });
    expect(isRevoked('revoking', 'ann', 'j1', notAfter)).toBe(false);
    expect((await rig.ask(boss, lift)).liftRevocation.userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
    const page = (await rig.ask(boss, '{ revocations(first: 1) { nodes { kind key } pageInfo { hasNextPage } } }'))
      .revocations;
    expect(page).toEqual({ nodes: [{ kind: 'SUBJECT', key: 'eve' }], pageInfo: { hasNextPage: false } });
    follower.close();
  });

  it('are one for a key, and refuse what is none', async () => {
    const boss = principal('boss', 'once');
    const input = { kind: 'TOKEN', key: 'j', idempotencyKey: 'k' };
    const [first, again] = [await revokeTokens(boss, input), await revokeTokens(boss, input)];
    expect(again.data).toEqual(first.data);
    expect((await revokeTokens(boss, { ...input, key: 'j2' })).data.revokeTokens.userErrors).toMatchObject([
      { code: 'IDEMPOTENCY_MISMATCH' },
    ]);
    for (const bad of [
      { key: '' },
      { key: 'nul\0' },
      { kind: 'SUBJECT', key: 'no subject' },
      { expiresAt: new Date(Date.now() - 1_000).toISOString() },
      { expiresAt: new Date(Date.now() + 401 * 86_400_000).toISOString() },
    ])
      expect(
        (await revokeTokens(boss, { kind: 'TOKEN', key: 'j', ...bad })).data.revokeTokens.userErrors,
      ).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
    const weak = createPrincipal({ tenantId: 'once', subject: 'boss', scopes: ['*'] });
    expect((await revokeTokens(weak, input)).errors).toMatchObject([{ extensions: { code: 'STEP_UP_REQUIRED' } }]);
  });

  it('are forgotten once what they concern has ended', async () => {
    const boss = principal('boss', 'sweeping');
    await revokeTokens(boss, { kind: 'TOKEN', key: 'old' });
    await revokeTokens(boss, { kind: 'TOKEN', key: 'new' });
    await rig.sql`UPDATE platform.revocation SET expires_at = now() - interval '1 s' WHERE tenant_id = 'sweeping' AND key = 'old'`;
    await rig.run('sweepTokens');
    expect(await rig.sql`SELECT key FROM platform.revocation WHERE tenant_id = 'sweeping'`).toMatchObject([
      { key: 'new' },
    ]);
  });

  it('come of a logout, which ends the caller’s own token and no other', async () => {
    const logout = 'mutation { logout { tokenId userErrors { code } } }';
    const who = createPrincipal({
      tenantId: 'leaving',
      subject: 'ann',
      tokenId: 'mine',
      issuedAtMs: Date.now(),
      expiresAtMs: Date.now() + 60_000,
    });
    expect((await rig.ask(who, logout)).logout).toEqual({ tokenId: 'mine', userErrors: [] });
    expect((await rig.ask(who, logout)).logout).toEqual({ tokenId: 'mine', userErrors: [] });
    const nameless = createPrincipal({ tenantId: 'leaving', subject: 'ann' });
    expect((await rig.ask(nameless, logout)).logout.userErrors).toMatchObject([{ code: 'INVALID_STATE' }]);
    expect(await rig.sql`SELECT kind, key FROM platform.revocation WHERE tenant_id = 'leaving'`).toMatchObject([
      { kind: 'token', key: 'mine' },
    ]);
  });
});
