import { fork } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PlatformError } from '../../../subgraphs/shared/errors.ts';
import { createIdentitySigner, loadInternalSecret } from '../../../subgraphs/shared/identity.ts';
import { createPrincipal } from '../../../subgraphs/shared/principal.ts';
import { nowMs } from './forge.ts';

const secret = 'a-secret-of-more-than-32-characters';
const otherSecret = 'b-secret-of-more-than-32-characters';
const principal = createPrincipal({
  tenantId: 'acme',
  subject: 'ada',
  subjectType: 'human',
  displayName: 'Ada Łovelace',
  roles: ['member'],
  scopes: ['context:read'],
  expiresAtMs: nowMs + 5_000,
});

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof PlatformError) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('the signed identity', () => {
  test('carries the principal unchanged', () => {
    const signer = createIdentitySigner(secret);
    for (const one of [principal, createPrincipal({ tenantId: 't', subject: 's' })]) {
      expect(createIdentitySigner(secret).verify(signer.sign(one, nowMs), nowMs)).toEqual(one);
    }
  });

  test('lives 60 s, and is reused for 30 s for the same principal', () => {
    const signer = createIdentitySigner(secret);
    const text = signer.sign(principal, nowMs);
    expect(signer.sign(principal, nowMs + 29_999)).toBe(text);
    expect(signer.sign(principal, nowMs + 30_000)).not.toBe(text);
    expect(signer.sign({ ...principal }, nowMs + 1)).not.toBe(text);
    expect(signer.verify(text, nowMs + 59_999).subject).toBe('ada');
    expect(codeOf(() => signer.verify(text, nowMs + 60_000))).toBe('UNAUTHENTICATED');
  });

  test('from a clock that runs ahead is accepted by 10 s and no more', () => {
    const signer = createIdentitySigner(secret);
    const text = signer.sign(principal, nowMs);
    expect(signer.verify(text, nowMs - 10_000).subject).toBe('ada');
    expect(codeOf(() => signer.verify(text, nowMs - 10_001))).toBe('UNAUTHENTICATED');
  });

  test('is refused after any change of any character', () => {
    const signer = createIdentitySigner(secret);
    const text = signer.sign(principal, nowMs);
    for (let index = 0; index < text.length - 1; index += 1) {
      const damaged = text.slice(0, index) + (text[index] === 'A' ? 'B' : 'A') + text.slice(index + 1);
      expect(codeOf(() => signer.verify(damaged, nowMs))).toBe('UNAUTHENTICATED');
    }
  });

  test('is refused when missing, empty, oversized or of another secret', () => {
    const signer = createIdentitySigner(secret);
    const text = signer.sign(principal, nowMs);
    const body = text.split('.')[0];
    const foreign = createIdentitySigner(otherSecret).sign(principal, nowMs);
    const huge = signer.sign(
      createPrincipal({
        tenantId: 't',
        subject: 's',
        scopes: Array.from({ length: 2_000 }, (_, index) => `resource${index}:read`),
      }),
      nowMs,
    );
    for (const header of [undefined, '', '.', text.slice(0, -10), `${body}.`, body, foreign, huge, `.${text}`]) {
      expect(codeOf(() => signer.verify(header, nowMs))).toBe('UNAUTHENTICATED');
    }
  });

  test('survives a rotation of the secret', () => {
    const before = createIdentitySigner(secret);
    const after = createIdentitySigner([otherSecret, secret]);
    expect(after.verify(before.sign(principal, nowMs), nowMs).subject).toBe('ada');
    expect(codeOf(() => before.verify(after.sign(principal, nowMs), nowMs))).toBe('UNAUTHENTICATED');
    expect(() => createIdentitySigner('short')).toThrow('expected at least 32 characters, got 5');
  });
});

describe('the internal secret', () => {
  let dataDir: string;
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'secret-'));
  });
  afterEach(() => rmSync(dataDir, { recursive: true }));

  test('is the one given, and then no file is made', () => {
    expect(loadInternalSecret({ value: secret, dataDir })).toBe(secret);
    expect(readdirSync(dataDir)).toEqual([]);
  });

  test('is made once, readable by its owner alone', () => {
    const made = loadInternalSecret({ dataDir: join(dataDir, 'deep', 'er') });
    expect(made.length).toBeGreaterThanOrEqual(64);
    expect(loadInternalSecret({ dataDir: join(dataDir, 'deep', 'er') })).toBe(made);
    expect(readdirSync(join(dataDir, 'deep', 'er'))).toEqual(['internal.key']);
    expect(statSync(join(dataDir, 'deep', 'er', 'internal.key')).mode & 0o777).toBe(0o600);
  });

  test('a damaged file stops the start', () => {
    writeFileSync(join(dataDir, 'internal.key'), 'short\n');
    expect(() => loadInternalSecret({ dataDir })).toThrow('internal.key: expected at least 32 characters');
  });

  test('processes that start at once agree', async () => {
    const script = join(dataDir, 'load.ts');
    const go = join(dataDir, 'go');
    const module = new URL('../../../subgraphs/shared/identity.ts', import.meta.url).href;
    writeFileSync(
      script,
      `import { existsSync } from 'node:fs';
       import { loadInternalSecret } from ${JSON.stringify(module)};
       process.send('ready');
       while (!existsSync(${JSON.stringify(go)}));
       process.send(loadInternalSecret({ dataDir: ${JSON.stringify(join(dataDir, 'data'))} }));
       process.disconnect();`,
    );
    const children = [1, 2, 3].map(() => fork(script, { execArgv: [] }));
    const messages = children.map((child) => {
      const received: string[] = [];
      child.on('message', (message) => void received.push(String(message)));
      return received;
    });
    const exits = children.map((child) => new Promise((resolve) => child.once('exit', resolve)));
    const deadlineMs = Date.now() + 10_000;
    while (messages.some((received) => received.length === 0) && Date.now() < deadlineMs)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(existsSync(join(dataDir, 'data'))).toBe(false);
    writeFileSync(go, '');
    await Promise.all(exits);
    const secrets = messages.map((received) => received[1]);
    expect(secrets[0]).toMatch(/^[\w-]{64}$/);
    expect(new Set(secrets).size).toBe(1);
    expect(readdirSync(join(dataDir, 'data'))).toEqual(['internal.key']);
  });
});
