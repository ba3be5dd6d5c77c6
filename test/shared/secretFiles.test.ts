import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '#shared/config.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'secrets-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const file = async (name: string, text: string) => {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
};

describe('secrets by file', () => {
  it('stand for the variable, a module’s database too', async () => {
    const config = readConfig({
      DATABASE_URL_FILE: await file('database', 'postgres://u:p@host/db\n'),
      DATABASE_URL_PLAN_FILE: await file('plan', 'postgres://u:p@host/plan'),
      INTERNAL_SECRET_FILE: await file('internal', `${'s'.repeat(40)}\n`),
    });
    expect(config.DATABASE_URL).toBe('postgres://u:p@host/db');
    expect(config.databaseUrls.get('plan')).toBe('postgres://u:p@host/plan');
    expect(config.INTERNAL_SECRET).toBe('s'.repeat(40));
    expect(config.fixed.has('DATABASE_URL')).toBe(true);
  });

  it('are refused where they are not to be read, empty, unfit or said twice, and no message repeats them', async () => {
    const refused = (environment: Record<string, string>) => {
      try {
        readConfig(environment);
      } catch (error) {
        return (error as Error).message;
      }
      return 'taken';
    };
    expect(refused({ DATABASE_URL_FILE: join(folder, 'none') })).toMatch(
      /DATABASE_URL_FILE: .* cannot be read: ENOENT/,
    );
    expect(refused({ REDIS_URL_FILE: await file('empty', '\n') })).toMatch(/REDIS_URL_FILE: .* is empty/);
    expect(
      refused({ INTERNAL_SECRET: 'x'.repeat(40), INTERNAL_SECRET_FILE: await file('twice', 'y'.repeat(40)) }),
    ).toMatch(/expected one of the two/);
    const unfit = refused({ DATABASE_URL_FILE: await file('unfit', 'hunter2') });
    expect(unfit).toMatch(/DATABASE_URL: expected postgres:/);
    expect(unfit).not.toContain('hunter2');
  });
});
