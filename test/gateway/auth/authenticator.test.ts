import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { mintToken } from '../../../gateway/auth/mintToken.ts';
import { loadDevelopmentKey } from '../../../gateway/auth/signingKey.ts';
import {
  type AuthConfig,
  type Authenticator,
  createAuthenticator,
  describePeer,
  isLoopbackAddress,
} from '../../../gateway/auth.ts';
import { PlatformError } from '../../../subgraphs/shared/errors.ts';
import type { Principal } from '../../../subgraphs/shared/principal.ts';
import { badTokens, goodTokens, stricterTokens } from './corpus.ts';
import { audience, claims, ec, ed, forge, issuer, nowMs, nowSeconds, otherRsa, rsa } from './forge.ts';
import { createIssuerServer, type IssuerServer } from './issuer.ts';

const near = describePeer('127.0.0.1');
const far = describePeer('203.0.113.7');
let directory: string;
let logged: string[];
let clockMs: number;
const opened: Authenticator[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'auth-'));
  logged = [];
  clockMs = nowMs;
});

afterEach(() => {
  for (const authenticator of opened.splice(0)) authenticator.close();
  rmSync(directory, { recursive: true });
});

function open(config: Partial<AuthConfig>): Authenticator {
  const logger = pino({ level: 'debug' }, { write: (line: string) => void logged.push(line) });
  const authenticator = createAuthenticator(
    { mode: 'production', issuer, audience, developmentKeyDir: join(directory, 'keys'), ...config },
    { now: () => clockMs, logger },
  );
  opened.push(authenticator);
  return authenticator;
}

function writePem(
  ...keys: { publicKey: { export(options: { type: 'spki'; format: 'pem' }): string | Buffer } }[]
): string {
  const file = join(directory, 'issuer.pem');
  writeFileSync(file, keys.map((pair) => pair.publicKey.export({ type: 'spki', format: 'pem' })).join('\n'));
  return file;
}

async function refusal(authenticator: Authenticator, header: string | undefined, peer = far): Promise<PlatformError> {
  try {
    await authenticator.authenticate(header, peer);
  } catch (error) {
    if (error instanceof PlatformError) return error;
    throw error;
  }
  throw new Error('expected a refusal');
}

const ask = async (authenticator: Authenticator, token: string): Promise<Principal> =>
  await authenticator.authenticate(`Bearer ${token}`, far);

describe('with a PEM file', () => {
  test('accepts tokens without an id, and of another life, where it is told to', async () => {
    const publicKeyFile = writePem(rsa);
    const [usual, lenient] = [open({ publicKeyFile }), open({ publicKeyFile, allowTokensWithoutId: true })];
    const nameless = forge({ payload: claims({ jti: undefined }) });
    expect((await ask(lenient, nameless)).tokenId).toBeUndefined();
    expect((await refusal(usual, `Bearer ${nameless}`)).cause).toBe('id-missing');
    const short = open({ publicKeyFile, maxTokenLifeSeconds: 600 });
    expect((await ask(short, forge())).tokenId).toBe('token-1');
    const longer = forge({ payload: claims({ exp: nowSeconds + 601 }) });
    expect((await refusal(short, `Bearer ${longer}`)).cause).toBe('lives-too-long');
    expect((await ask(usual, longer)).subject).toBe('agent-1');
  });

  test('reads the whole principal out of a token', () => {
    const authenticator = open({ publicKeyFile: writePem(rsa) });
    const token = forge({
      payload: claims({
        sub_type: 'human',
        name: 'Ada',
        roles: ['viewer'],
        scope: 'openid plan:write context:*',
        jti: '1',
        acr: '2',
      }),
    });
    expect(authenticator.authenticate(`Bearer ${token}`, far)).toEqual({
      tenantId: 'acme',
      subject: 'agent-1',
      subjectType: 'human',
      displayName: 'Ada',
      roles: ['viewer'],
      scopes: ['*:read', 'context:*', 'plan:write'],
      permissionKey: 'viewer|*:read,context:*,plan:write',
      expiresAtMs: (nowSeconds + 600) * 1_000,
      issuedAtMs: nowSeconds * 1_000,
      tokenId: '1',
    });
  });

  test.for([
    '',
    'Bearer',
    'Bearer ',
    'Basic YTpi',
    `Bearer ${goodTokens['RS256']} x`,
    goodTokens['RS256'] ?? '',
    `Bearer\n${goodTokens['RS256']}`,
  ])('refuses the header %j', async (header) => {
    const error = await refusal(open({ publicKeyFile: writePem(rsa) }), header);
    expect(error.code).toBe('UNAUTHENTICATED');
  });

  test('takes the scheme in any case', async () => {
    const authenticator = open({ publicKeyFile: writePem(rsa) });
    expect(await authenticator.authenticate(`bEARER  ${goodTokens['RS256']} `, far)).toMatchObject({
      subject: 'agent-1',
    });
  });

  test('accepts two keys at once, and a changed file without a restart', async () => {
    const file = writePem(otherRsa, rsa);
    const authenticator = open({ publicKeyFile: file, keyRefreshMs: 20 });
    expect(await ask(authenticator, forge())).toMatchObject({ subject: 'agent-1' });
    expect(await ask(authenticator, forge({ pair: otherRsa }))).toMatchObject({ subject: 'agent-1' });
    writePem(otherRsa);
    await vi.waitFor(async () =>
      expect((await refusal(authenticator, `Bearer ${forge()}`)).code).toBe('UNAUTHENTICATED'),
    );
    expect(await ask(authenticator, forge({ pair: otherRsa }))).toMatchObject({ subject: 'agent-1' });
    writeFileSync(file, 'half written');
    await vi.waitFor(() => expect(logged.join()).toContain('could not be renewed'));
    expect(await ask(authenticator, forge({ pair: otherRsa }))).toMatchObject({ subject: 'agent-1' });
  });

  test.for<[string, () => string, RegExp]>([
    ['nothing', () => '', /expected a PEM public key or certificate, found none/],
    [
      'a private key',
      () => rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      /expected public keys only, found a private one/,
    ],
    [
      'a short RSA key',
      () =>
        generateKeyPairSync('rsa', { modulusLength: 1_024 })
          .publicKey.export({ type: 'spki', format: 'pem' })
          .toString(),
      /expected RSA of 2048 bits or more/,
    ],
    [
      'another curve',
      () =>
        generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      /expected RSA of 2048 bits or more, P-256 or Ed25519, got ec/,
    ],
  ])('does not start with a file that holds %s', ([, pem, message]) => {
    const file = join(directory, 'bad.pem');
    writeFileSync(file, pem());
    expect(() => open({ publicKeyFile: file })).toThrow(message);
  });
});

describe('the cache of verified tokens', () => {
  test('answers with the same principal until the token ends', async () => {
    const authenticator = open({ publicKeyFile: writePem(rsa) });
    const token = forge();
    const first = await ask(authenticator, token);
    expect(await ask(authenticator, token)).toBe(first);
    expect(authenticator.stats).toEqual({ cached: 1, hits: 1, verified: 1, rejected: 0 });
    clockMs = nowMs + 659_000;
    expect(await ask(authenticator, token)).toBe(first);
    clockMs = nowMs + 660_000;
    expect((await refusal(authenticator, `Bearer ${token}`)).code).toBe('UNAUTHENTICATED');
    expect(authenticator.stats.cached).toBe(0);
  });

  test('holds 10,000 tokens at most', async () => {
    const authenticator = open({ publicKeyFile: writePem(ed) });
    for (let index = 0; index < 10_050; index += 1) {
      await ask(
        authenticator,
        forge({ pair: ed, signedAs: 'EdDSA', header: { alg: 'EdDSA' }, payload: claims({ sub: `agent-${index}` }) }),
      );
    }
    expect(authenticator.stats).toMatchObject({ cached: 10_000, verified: 10_050 });
  });
});

describe('with a JWKS', () => {
  let server: IssuerServer;
  const rsaJwk = { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa' };
  const nextJwk = { ...otherRsa.publicKey.export({ format: 'jwk' }), kid: 'next' };
  const nextToken = forge({ pair: otherRsa, header: { alg: 'RS256', kid: 'next' } });

  beforeEach(async () => {
    server = await createIssuerServer();
    server.publish(rsaJwk);
  });
  afterEach(() => server.close());

  test('every bad token gets one and the same answer, which names neither claim nor reason', async () => {
    server.publish(
      rsaJwk,
      { ...ec.publicKey.export({ format: 'jwk' }), kid: 'ec' },
      { ...ed.publicKey.export({ format: 'jwk' }), kid: 'ed' },
    );
    const authenticator = open({ jwksUrl: server.url });
    await vi.waitFor(() => expect(authenticator.hasKeys()).toBe(true));
    const messages = new Set<string>();
    const codes = new Set<string>();
    const tokens = Object.entries({ ...badTokens, ...stricterTokens });
    for (const [, token] of tokens) {
      const error = await refusal(authenticator, `Bearer ${token}`);
      messages.add(error.message);
      codes.add(error.code);
      expect(error.details).toBeUndefined();
    }
    expect([...codes]).toEqual(['UNAUTHENTICATED']);
    expect([...messages]).toEqual(['the token was not accepted']);
    expect(authenticator.stats).toMatchObject({ cached: 0, verified: 0, rejected: tokens.length });
    expect(logged.filter((line) => line.includes('"reason"'))).toHaveLength(tokens.length);
    for (const [, token] of tokens) if (token.length > 40) expect(logged.join()).not.toContain(token);
  });

  test('waits for the first keys, then answers at once', async () => {
    const authenticator = open({ jwksUrl: server.url });
    expect(authenticator.hasKeys()).toBe(false);
    const first = authenticator.authenticate(`Bearer ${forge()}`, far);
    expect(first).toBeInstanceOf(Promise);
    expect(await first).toMatchObject({ subject: 'agent-1' });
    expect(authenticator.hasKeys()).toBe(true);
    expect(authenticator.authenticate(`Bearer ${forge({ payload: claims({ sub: 'b' }) })}`, far)).toMatchObject({
      subject: 'b',
    });
    expect(server.requests).toBe(1);
  });

  test('fetches a key it does not know, but not for everyone who makes one up', async () => {
    const authenticator = open({ jwksUrl: server.url });
    await ask(authenticator, forge());
    const invented = Array.from({ length: 20 }, (_, index) =>
      forge({ header: { alg: 'RS256', kid: `made-up-${index}` } }),
    );
    for (const token of invented)
      expect((await refusal(authenticator, `Bearer ${token}`)).code).toBe('UNAUTHENTICATED');
    expect(server.requests).toBe(1);
    server.publish(rsaJwk, nextJwk);
    clockMs += 30_000;
    const answers = await Promise.all([ask(authenticator, nextToken), ask(authenticator, nextToken)]);
    expect(answers).toMatchObject([{ subject: 'agent-1' }, { subject: 'agent-1' }]);
    for (const token of invented) await refusal(authenticator, `Bearer ${token}`);
    expect(server.requests).toBe(2);
  });

  test('a key that vanishes takes with it what it verified', async () => {
    const authenticator = open({ jwksUrl: server.url });
    server.publish(rsaJwk, nextJwk);
    await ask(authenticator, forge());
    await ask(authenticator, nextToken);
    expect(authenticator.stats.cached).toBe(2);
    server.publish(nextJwk);
    clockMs += 30_000;
    await refusal(authenticator, `Bearer ${forge({ header: { alg: 'RS256', kid: 'made-up' } })}`);
    expect(authenticator.stats.cached).toBe(1);
    expect((await refusal(authenticator, `Bearer ${forge()}`)).code).toBe('UNAUTHENTICATED');
    expect(await ask(authenticator, nextToken)).toMatchObject({ subject: 'agent-1' });
  });

  test('another key under the same kid is another key', async () => {
    const authenticator = open({ jwksUrl: server.url, keyRefreshMs: 20 });
    await ask(authenticator, forge());
    server.publish({ ...nextJwk, kid: 'rsa' });
    await vi.waitFor(async () =>
      expect((await refusal(authenticator, `Bearer ${forge()}`)).code).toBe('UNAUTHENTICATED'),
    );
    expect(await ask(authenticator, forge({ pair: otherRsa }))).toMatchObject({ subject: 'agent-1' });
  });

  test.for<[string, number, string]>([
    ['answers 500', 500, 'down'],
    ['answers HTML', 200, '<html>'],
    ['answers no JWKS', 200, '{"keys":"none"}'],
    ['redirects', 302, ''],
  ])('the last good keys hold while the issuer %s', async ([, status, body]) => {
    const authenticator = open({ jwksUrl: server.url, keyRefreshMs: 20, jwksCooldownMs: 20 });
    await ask(authenticator, forge());
    server.breakWith(status, body);
    const before = server.requests;
    await vi.waitFor(() => expect(server.requests).toBeGreaterThan(before + 2));
    expect(await ask(authenticator, forge({ payload: claims({ sub: 'new' }) }))).toMatchObject({ subject: 'new' });
    expect(logged.join()).toContain('could not be renewed');
    server.publish(rsaJwk, nextJwk);
    await vi.waitFor(async () => expect(await ask(authenticator, nextToken)).toMatchObject({ subject: 'agent-1' }));
  });

  test('without any key yet it is unavailable, and recovers by itself', async () => {
    server.breakWith(500, 'down');
    const authenticator = open({ jwksUrl: server.url });
    const error = await refusal(authenticator, `Bearer ${forge()}`);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true, retryAfterMs: 1_000 });
    const again = await refusal(authenticator, `Bearer ${forge()}`);
    expect(again.code).toBe('UNAVAILABLE');
    expect(server.requests).toBe(1);
    server.publish(rsaJwk);
    clockMs += 1_000;
    expect(await ask(authenticator, forge())).toMatchObject({ subject: 'agent-1' });
  });

  test('a PEM file may stand beside it', async () => {
    const authenticator = open({ jwksUrl: server.url, publicKeyFile: writePem(ec) });
    expect(await ask(authenticator, goodTokens['ES256'] ?? '')).toMatchObject({ subject: 'agent-1' });
    await vi.waitFor(async () => expect(await ask(authenticator, forge())).toMatchObject({ subject: 'agent-1' }));
  });
});

describe('in production', () => {
  test('refuses to start without keys', () => {
    expect(() => open({})).toThrow('refuses to start without keys: set AUTH_JWKS_URL or AUTH_PUBLIC_KEY_FILE');
    expect(readdirSync(directory)).toEqual([]);
  });

  test('there is no demo principal and no development key', async () => {
    const development = await mintToken(
      { tenant: 'demo', subject: 'demo', ttlSeconds: 60 },
      { key: loadDevelopmentKey(join(directory, 'keys')), issuer, audience, now: () => nowMs },
    );
    const authenticator = open({ publicKeyFile: writePem(rsa) });
    expect((await refusal(authenticator, undefined, near)).code).toBe('UNAUTHENTICATED');
    expect((await refusal(authenticator, `Bearer ${development}`, near)).code).toBe('UNAUTHENTICATED');
  });
});

describe('in development', () => {
  test('a request from this machine without a token is the demo principal', async () => {
    const authenticator = open({ mode: 'development' });
    expect(authenticator.authenticate(undefined, near)).toEqual({
      tenantId: 'demo',
      subject: 'demo',
      subjectType: 'human',
      roles: ['admin'],
      scopes: ['*'],
      permissionKey: 'admin|*',
      steppedUpUntilMs: Number.MAX_SAFE_INTEGER,
    });
    const error = await refusal(authenticator, undefined, far);
    expect(error.code).toBe('UNAUTHENTICATED');
    expect(error.message).toContain('Authorization: Bearer');
  });

  test('a bad token is no demo principal either', async () => {
    const authenticator = open({ mode: 'development' });
    for (const header of ['', 'Bearer x', `Bearer ${forge()}`])
      expect((await refusal(authenticator, header, near)).code).toBe('UNAUTHENTICATED');
  });

  test('the key is made once, readable by its owner alone, and mints what is accepted', async () => {
    const keyDir = join(directory, 'keys');
    const authenticator = open({ mode: 'development' });
    const [file = ''] = readdirSync(keyDir);
    expect(statSync(join(keyDir, file)).mode & 0o777).toBe(0o600);
    const key = loadDevelopmentKey(keyDir);
    const token = await mintToken(
      { tenant: 'acme', subject: 'bot:1', roles: ['admin'], ttlSeconds: 60 },
      { key, issuer, audience, now: () => nowMs },
    );
    expect(await authenticator.authenticate(`Bearer ${token}`, far)).toMatchObject({
      tenantId: 'acme',
      subject: 'bot:1',
      scopes: ['*'],
      expiresAtMs: nowMs + 60_000,
    });
    expect(readdirSync(keyDir)).toHaveLength(1);
  });

  test('accepts a configured issuer as well', async () => {
    expect(await ask(open({ mode: 'development', publicKeyFile: writePem(rsa) }), forge())).toMatchObject({
      tenantId: 'acme',
    });
  });
});

test('knows which addresses are this machine', () => {
  const addresses = [
    '127.0.0.1',
    '127.8.9.1',
    '::1',
    '::ffff:127.0.0.1',
    '0.0.0.0',
    '10.0.0.1',
    '::ffff:10.0.0.1',
    '::',
    '128.0.0.1',
    'localhost',
    '',
  ];
  expect(addresses.filter(isLoopbackAddress)).toEqual(['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1']);
  expect(describePeer(undefined)).toEqual({ address: '', loopback: false });
});
