import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBreakingChanges } from '../../schema/check.ts';

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
  it('refuses a field that was removed from a module, though it composes', async () => {
    const { code, output } = await checkWith('platform.graphql', (text) => text.replace(/^ {2}subgraphs: .*\n/m, ''));
    expect(code).toBe(1);
    expect(output).toMatch(/breaking: Platform\w*\.subgraphs Field 'subgraphs' was removed/);
    expect(output).toContain('schema/api.graphql is not what the SDL composes to: run npm run generate');
  });

  it('passes where the published schema lacks a field of ours', async () => {
    expect(await checkWith('published.graphql', (text) => text.replace(/^ {2}subgraphs: .*\n/m, ''))).toEqual({
      code: 0,
      output: 'the schema composes and breaks nobody\n',
    });
  });
});

describe('what breaks clients', () => {
  it('is whatever the published schema has and ours has not: a field, a type, a value of an enum', async () => {
    const ours = await readFile(join(project, 'schema/api.graphql'), 'utf8');
    expect(await findBreakingChanges(ours, ours)).toEqual([]);
    const field = ['  me: PlatformPrincipal!', '  me: PlatformPrincipal!\n  whoami: PlatformPrincipal!'] as const;
    const value = ['enum ContextParticipantType {\n', 'enum ContextParticipantType {\n  ROBOT\n'] as const;
    for (const [at] of [field, value]) expect(ours).toContain(at);
    const published = `${ours.replace(...field).replace(...value)}\ntype Forgotten {\n  id: ID!\n}\n`;
    expect((await findBreakingChanges(published, ours)).toSorted()).toEqual([
      "ContextParticipantType.ROBOT Enum value 'ROBOT' was removed from enum 'ContextParticipantType'",
      "Forgotten Type 'Forgotten' was removed",
      "Query.whoami Field 'whoami' was removed from object type 'Query'",
    ]);
  });
});
