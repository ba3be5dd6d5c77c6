import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const project = process.cwd();
let copy: string;
beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), 'mplp-schema-'));
  for (const name of ['schema', 'subgraphs', 'package.json'])
    await cp(join(project, name), join(copy, name), { recursive: true });
  await symlink(join(project, 'node_modules'), join(copy, 'node_modules'));
});
afterAll(() => rm(copy, { recursive: true, force: true }));

/** Runs the script of `npm run check:schema` in the copy. */
const check = () =>
  promisify(execFile)(process.execPath, ['schema/check.ts'], { cwd: copy }).then(
    ({ stdout }) => ({ code: 0, output: stdout }),
    (error: { code: number; stderr: string }) => ({ code: error.code, output: error.stderr }),
  );

/** Changes a file of the copy for one check and puts it back. */
async function checkWith(file: string, change: (text: string) => string) {
  const path = join(copy, 'schema', file);
  const text = await readFile(path, 'utf8');
  const changed = change(text);
  expect(changed).not.toBe(text);
  await writeFile(path, changed);
  try {
    return await check();
  } finally {
    await writeFile(path, text);
  }
}

describe('npm run check:schema', () => {
  it('passes as committed', async () => {
    expect(await check()).toEqual({ code: 0, output: 'the schema composes and breaks nobody\n' });
  });

  it('refuses whatever the published schema has and ours has not: a field, a type, a value of an enum', async () => {
    const field = ['  me: PlatformPrincipal!', '  me: PlatformPrincipal!\n  whoami: PlatformPrincipal!'] as const;
    const value = ['enum ContextParticipantType {\n', 'enum ContextParticipantType {\n  ROBOT\n'] as const;
    const { code, output } = await checkWith('published.graphql', (text) => {
      for (const [at] of [field, value]) expect(text).toContain(at);
      return `${text.replace(...field).replace(...value)}\ntype Forgotten {\n  id: ID!\n}\n`;
    });
    expect(code).toBe(1);
    for (const told of [
      "breaking: Query.whoami Field 'whoami' was removed from object type 'Query'",
      "breaking: Forgotten Type 'Forgotten' was removed",
      "breaking: ContextParticipantType.ROBOT Enum value 'ROBOT' was removed",
    ])
      expect(output).toContain(told);
  });

  it('refuses a field that was removed from a module, though it composes', async () => {
    const { code, output } = await checkWith('platform.graphql', (text) => text.replace(/^ {2}subgraphs: .*\n/m, ''));
    expect(code).toBe(1);
    expect(output).toMatch(/breaking: Platform\w*\.subgraphs Field 'subgraphs' was removed/);
    expect(output).toContain('schema/api.graphql is not what the SDL composes to: run npm run generate');
  });

  it('takes a field more without a word', async () => {
    expect((await checkWith('published.graphql', (text) => text.replace(/^ {2}subgraphs: .*\n/m, ''))).code).toBe(0);
  });
});
