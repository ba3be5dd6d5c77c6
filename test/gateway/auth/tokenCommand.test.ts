import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { roleScopes } from '../../../gateway/auth/roleScopes.ts';
import { createAuthenticator, describePeer, developmentKeyDir } from '../../../gateway/auth.ts';
import { runTokenCommand } from '../../../gateway/tokenCommand.ts';
import { hasScope } from '../../../subgraphs/shared/principal.ts';

const run = promisify(execFile);
const logger = pino({ level: 'silent' });
const far = describePeer('203.0.113.7');
let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'token-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

async function principalOf(token: string) {
  const authenticator = createAuthenticator(
    {
      mode: 'development',
      issuer: 'mplp-development',
      audience: 'mplp-graph',
      developmentKeyDir: developmentKeyDir(dataDir),
    },
    { logger },
  );
  try {
    return await authenticator.authenticate(`Bearer ${token}`, far);
  } finally {
    authenticator.close();
  }
}

test('as a process it prints the token and nothing else', async () => {
  const args = [
    'gateway/tokenCommand.ts',
    '--tenant',
    'acme',
    '--subject',
    'ada',
    '--roles',
    'member,auditor',
    '--scopes',
    'plan:*',
    '--type',
    'human',
    '--name',
    'Ada',
    '--ttl',
    '60',
  ];
  const before = Date.now();
  const { stdout, stderr } = await run(process.execPath, args, {
    env: { PATH: process.env['PATH'], DATA_DIR: dataDir },
  });
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const principal = await principalOf(stdout.trim());
  expect(principal).toMatchObject({
    tenantId: 'acme',
    subject: 'ada',
    subjectType: 'human',
    displayName: 'Ada',
    roles: ['auditor', 'member'],
  });
  expect(principal.scopes).toEqual([...(roleScopes.get('member') ?? []), 'plan:*'].sort());
  expect(hasScope(principal, 'dialog:create')).toBe(true);
  expect(hasScope(principal, 'role:write')).toBe(false);
  expect((principal.expiresAtMs ?? 0) - before).toBeGreaterThan(58_000);
  expect((principal.expiresAtMs ?? 0) - before).toBeLessThan(75_000);
});

test('processes that start at once agree on one key', async () => {
  const results = await Promise.all(
    ['a', 'b', 'c'].map((subject) =>
      run(process.execPath, ['gateway/tokenCommand.ts', '--tenant', 't', '--subject', subject], {
        env: { PATH: process.env['PATH'], DATA_DIR: dataDir },
      }),
    ),
  );
  const subjects = await Promise.all(results.map(async ({ stdout }) => (await principalOf(stdout.trim())).subject));
  expect(subjects).toEqual(['a', 'b', 'c']);
});

describe('refuses with exit code 2 and says why on stderr', () => {
  test.for<[string[], RegExp]>([
    [[], /--tenant is missing/],
    [['--tenant', 't'], /--subject is missing/],
    [['--tenant', 'a/b', '--subject', 's'], /--tenant: expected 1 to 128 characters/],
    [['--tenant', 't', '--subject', 's', '--roles', 'a b'], /--roles: expected/],
    [
      ['--tenant', 't', '--subject', 's', '--scopes', 'everything'],
      /--scopes: expected resource:action or \*, got "everything"/,
    ],
    [['--tenant', 't', '--subject', 's', '--type', 'god'], /--type: expected agent, human or service/],
    [['--tenant', 't', '--subject', 's', '--ttl', '0'], /--ttl: expected 1 to 86400/],
    [['--tenant', 't', '--subject', 's', '--ttl', '1e3'], /--ttl/],
    [['--tenant', 't', '--subject', 's', '--ttl', '86401'], /--ttl/],
    [['--tenant', 't', '--subject', 's', '--unknown'], /--unknown/],
    [['--tenant', 't', '--subject', 's', 'extra'], /extra/],
    [['--tenant'], /--tenant/],
  ])('%j', async ([args, message]) => {
    const result = await runTokenCommand(args, { DATA_DIR: dataDir });
    expect(result).toMatchObject({ exitCode: 2, stdout: '' });
    expect(result.stderr).toMatch(message);
    expect(result.stderr).toContain('usage:');
    expect(existsSync(join(dataDir, 'keys'))).toBe(false);
  });
});

describe('in production', () => {
  const args = ['--tenant', 't', '--subject', 's', '--roles', 'viewer'];

  test('refuses without a private key', async () => {
    const result = await runTokenCommand(args, { DATA_DIR: dataDir, NODE_ENV: 'production' });
    expect(result).toMatchObject({ exitCode: 1, stdout: '' });
    expect(result.stderr).toContain('AUTH_PRIVATE_KEY_FILE');
    expect(existsSync(join(dataDir, 'keys'))).toBe(false);
  });

  test.for(['rsa', 'ec', 'ed25519'] as const)(
    'signs with the %s key given, and the gateway accepts it',
    async (type) => {
      const pair =
        type === 'rsa'
          ? generateKeyPairSync('rsa', { modulusLength: 2_048 })
          : type === 'ec'
            ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
            : generateKeyPairSync('ed25519');
      const privateKeyFile = join(dataDir, 'private.pem');
      const publicKeyFile = join(dataDir, 'public.pem');
      writeFileSync(privateKeyFile, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
      writeFileSync(publicKeyFile, pair.publicKey.export({ type: 'spki', format: 'pem' }));
      const result = await runTokenCommand(args, {
        DATA_DIR: dataDir,
        NODE_ENV: 'production',
        AUTH_PRIVATE_KEY_FILE: privateKeyFile,
        AUTH_ISSUER: 'me',
        AUTH_AUDIENCE: 'them',
      });
      expect(result.stderr).toBe('');
      const authenticator = createAuthenticator(
        { mode: 'production', publicKeyFile, issuer: 'me', audience: 'them', developmentKeyDir: dataDir },
        { logger },
      );
      expect(await authenticator.authenticate(`Bearer ${result.stdout.trim()}`, far)).toMatchObject({
        tenantId: 't',
        scopes: ['*:read'],
      });
      authenticator.close();
    },
  );
});
