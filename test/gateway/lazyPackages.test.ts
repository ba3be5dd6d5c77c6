import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const projectFolder = fileURLToPath(new URL('../..', import.meta.url));

/** What a process of its own prints: here the packages may long be loaded. */
async function printed(script: string): Promise<unknown> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', `await import('./gateway/lazyPackages.ts');\n${script}`],
    { cwd: projectFolder },
  );
  return JSON.parse(stdout);
}

it('a deferred package has its names for an ES module that imports it later', async () => {
  expect(
    await printed(`
      const { resourceFromAttributes } = await import('@opentelemetry/resources');
      console.log(JSON.stringify(resourceFromAttributes({ a: 'b' }).attributes));`),
  ).toEqual({ a: 'b' });
});

it('the job queue may be loaded after the packages are deferred', async () => {
  expect(
    await printed(`
      const { runMigrations } = await import('graphile-worker');
      console.log(JSON.stringify(typeof runMigrations));`),
  ).toBe('function');
});
