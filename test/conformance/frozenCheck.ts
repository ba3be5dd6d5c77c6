import { execFile } from 'node:child_process';
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { frozenHome } from './frozen.ts';

export interface FrozenCheck {
  /** Writes one file per module that has documents, as the script reads them; answers the folder. */
  write(name: string, documents: Readonly<Record<string, readonly unknown[]>>): Promise<string>;
  /** Runs the script over a folder as a process of its own. */
  run(dir: string, args: readonly string[]): Promise<{ readonly code: number; readonly output: string }>;
}

/** Copies check.mjs with its data to where it finds our packages; its own folder is not written to. */
export async function openFrozenCheck(folder: string): Promise<FrozenCheck> {
  const home = join(folder, 'conformance');
  await cp(fileURLToPath(frozenHome), home, { recursive: true });
  const packages = join(home, 'node_modules');
  const ours = createRequire(import.meta.url);
  await mkdir(join(packages, 'js-yaml'), { recursive: true });
  for (const name of ['ajv', 'ajv-formats'])
    await symlink(dirname(ours.resolve(`${name}/package.json`)), join(packages, name));
  // Version 5 has no default export, which the script asks for.
  await writeFile(join(packages, 'js-yaml/package.json'), '{ "type": "module", "exports": "./index.js" }');
  await writeFile(
    join(packages, 'js-yaml/index.js'),
    `import { load } from ${JSON.stringify(import.meta.resolve('js-yaml'))};\nexport default { load };\n`,
  );

  return {
    async write(name, documents) {
      const target = join(folder, name);
      await mkdir(target, { recursive: true });
      for (const [module, list] of Object.entries(documents))
        if (list.length > 0)
          await writeFile(join(target, `${module}.json`), JSON.stringify(list.length === 1 ? list[0] : list));
      return target;
    },
    run: (dir, args) =>
      promisify(execFile)(process.execPath, [join(home, 'check.mjs'), dir, ...args]).then(
        ({ stdout }) => ({ code: 0, output: stdout }),
        (error: { code: number; stdout: string; stderr: string }) => ({
          code: error.code,
          output: error.stdout + error.stderr,
        }),
      ),
  };
}
