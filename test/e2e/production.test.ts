import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compiledFolder } from '#shared/compileCache.ts';
import { everyModuleItsProcess, hostPlatform, modes, type Platform, startPlatform } from '../support/platform.ts';

const run = promisify(execFile);
const issuer = { AUTH_ISSUER: 'https://issuer.example', AUTH_AUDIENCE: 'mplp-production' };

/** Runs the documented script as a user does, on the npm beside our Node. */
async function npmToken(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ stdout: string; stderr: string }> {
  return await run('npm', ['run', '-s', 'token', '--', ...args], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
  });
}

describe.each(modes)('NODE_ENV=production, %s', (mode) => {
  let folder: string;
  let platform: Platform;
  let token: string;
  const env = () => ({
    NODE_ENV: 'production',
    ...issuer,
    INTERNAL_SECRET: 'a secret of at least thirty-two characters',
    AUTH_PUBLIC_KEY_FILE: join(folder, 'public.pem'),
  });

  const tokenOf = async (role: string) => {
    const printed = await npmToken(['--tenant', 'acme', '--subject', 'planner-1', '--roles', role], {
      ...env(),
      DATA_DIR: folder,
      AUTH_PRIVATE_KEY_FILE: join(folder, 'private.pem'),
    });
    return printed.stdout;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mplp-production-'));
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    await writeFile(join(folder, 'public.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
    await writeFile(join(folder, 'private.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    platform = await startPlatform({ mode, env: env(), processes: everyModuleItsProcess });
    token = await tokenOf('admin');
  });
  afterAll(async () => {
    await platform?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('takes the token that the documented command prints, alone on its line', async () => {
    expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const answer = await platform.query('{ me { tenantId subject roles } }', {}, { token: token.trim() });
    expect([answer.errors, answer.data]).toEqual([
      [],
      { me: { tenantId: 'acme', subject: 'planner-1', roles: ['admin'] } },
    ]);
  });

  it('refuses requests without a token, and tokens of the development key', async () => {
    for (const options of [{}, { token: await platform.token({ roles: ['admin'] }) }]) {
      const answer = await platform.query('{ me { subject } }', {}, options);
      expect([answer.status, answer.data, answer.errors.map((error) => error.extensions.code)]).toEqual([
        401,
        null,
        ['UNAUTHENTICATED'],
      ]);
    }
  });

  it('refuses requests without a token before it reads their document', async () => {
    for (const document of ['{', '{ nothing }', '{ __schema { types { name } } }']) {
      expect((await platform.query(document)).errors.map((error) => error.extensions.code)).toEqual([
        'UNAUTHENTICATED',
      ]);
    }
  });

  it('hides the schema: introspection for who holds that right alone, no suggestions', async () => {
    const introspection = '{ __schema { queryType { name } } }';
    const member = (await tokenOf('member')).trim();
    const told = await platform.query(introspection, {}, { token: token.trim() });
    expect([told.data, told.errors]).toEqual([{ __schema: { queryType: { name: 'Query' } } }, []]);
    const asked = await platform.query(introspection, {}, { token: member });
    expect([asked.status, asked.data, asked.errors.map((error) => error.extensions.code)]).toEqual([
      403,
      null,
      ['PERMISSION_DENIED'],
    ]);
    for (const document of [
      '{ platfrom { version } }',
      '{ me { subjct } }',
      '{ me(tenand: 1) { subject } }',
      '{ ... on Qwery { me { subject } } }',
    ]) {
      const { errors } = await platform.query(document, {}, { token: token.trim() });
      expect([document, errors.length > 0, errors.filter((error) => /did you mean/i.test(error.message))]).toEqual([
        document,
        true,
        [],
      ]);
    }
  });

  it('serves no IDE', async () => {
    for (const path of ['/ide', '/ide/', '/ide/ruru.js']) {
      const response = await fetch(`${platform.url}${path}`, { redirect: 'manual' });
      expect([path, response.status, response.headers.get('content-type')]).toEqual([
        path,
        404,
        'application/json; charset=utf-8',
      ]);
    }
    const root = await fetch(`${platform.url}/`, { redirect: 'manual' });
    expect(root.status).toBe(404);
  });

  it('is alive and ready', async () => {
    for (const path of ['/live', '/ready'])
      expect([path, (await fetch(`${platform.url}${path}`)).status]).toEqual([path, 200]);
  });
});

describe('starting in production', () => {
  const start = async (env: Readonly<Record<string, string>>) =>
    await run(process.execPath, ['gateway/main.ts'], {
      env: {
        PATH: process.env['PATH'],
        NODE_COMPILE_CACHE: compiledFolder,
        NODE_ENV: 'production',
        PORT: '0',
        LOG_LEVEL: 'silent',
        ...env,
      },
      timeout: 30_000,
    }).then(
      () => ({ code: 0, stderr: '' }),
      (error: { code: number; stderr: string; stdout: string }) => ({
        code: error.code,
        stderr: error.stderr,
        stdout: error.stdout,
      }),
    );

  it('without keys ends at once and says which settings are missing', async () => {
    expect(await start({})).toEqual({
      code: 1,
      stdout: '',
      stderr: 'production refuses to start without keys: set AUTH_JWKS_URL or AUTH_PUBLIC_KEY_FILE\n',
    });
  });

  it('with a key file that is not there ends and names it', async () => {
    const { code, stderr } = await start({ AUTH_PUBLIC_KEY_FILE: '/nonexistent/key.pem' });
    expect([code, stderr]).toEqual([1, expect.stringContaining('/nonexistent/key.pem')]);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it('with settings that do not fit ends and names each', async () => {
    const { code, stderr } = await start({ PORT: '70000', AUTH_JWKS_URL: 'ftp://x', CACHE: 'maybe' });
    expect(code).toBe(1);
    for (const name of ['PORT', 'AUTH_JWKS_URL', 'CACHE']) expect(stderr).toMatch(new RegExp(`^  ${name}: `, 'm'));
  });
});

describe('npm run -s token', () => {
  it('mints for the development platform as the README says', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mplp-token-'));
    await using platform = await hostPlatform({ dataDir: folder });
    const { stdout, stderr } = await npmToken(['--tenant', 'acme', '--subject', 'planner-1', '--roles', 'member'], {
      DATA_DIR: folder,
    });
    expect(stderr).toBe('');
    const answer = await platform.query('{ me { tenantId subject roles scopes } }', {}, { token: stdout.trim() });
    expect(answer.data).toMatchObject({
      me: {
        tenantId: 'acme',
        subject: 'planner-1',
        roles: ['member'],
        scopes: expect.arrayContaining(['context:write']),
      },
    });
  });

  it('says what is missing, with exit code 2', async () => {
    await expect(npmToken(['--tenant', 'acme'], {})).rejects.toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('--subject is missing'),
    });
  });
});
