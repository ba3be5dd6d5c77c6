import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compiledFolder } from '#shared/compileCache.ts';

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly name: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** Runs vitest and closes with one line that says how many tests passed and failed. Arguments go to vitest. */
async function runTests(arguments_: readonly string[]): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'mplp-tests-'));
  const reportFile = join(folder, 'report.json');
  try {
    const child = spawn(
      'vitest',
      ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`, ...arguments_],
      // Tests start the platform some hundred times.
      { stdio: 'inherit', env: { NODE_COMPILE_CACHE: compiledFolder, ...process.env } },
    );
    const code = await new Promise<number>((resolve) => {
      child.once('error', (error) => {
        console.error(error.message);
        resolve(1);
      });
      child.once('exit', (status) => resolve(status ?? 1));
    });
    const report = JSON.parse(await readFile(reportFile, 'utf8').catch(() => 'null')) as Report | null;
    if (!report) {
      console.log('0 passed, 1 failed');
      return code || 1;
    }
    // A file that does not even load has no tests to count, and is a failure all the same.
    const brokenFiles = report.testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
    ).length;
    const skipped = report.numPendingTests + report.numTodoTests;
    for (const file of report.testResults)
      for (const test of file.assertionResults)
        if (test.status === 'pending' || test.status === 'skipped') console.log(`skipped: ${test.fullName}`);
    console.log(
      `${report.numPassedTests} passed, ${report.numFailedTests + brokenFiles} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`,
    );
    return code;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = await runTests(process.argv.slice(2));
