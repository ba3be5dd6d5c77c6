import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { developmentKeyDir, loadDevelopmentKey } from '../../gateway/auth/signingKey.ts';
import { createDeliveryChecker, type DeliveryChecker, type RunRecord } from '../../perf/demo/checker.ts';
import { readOptions } from '../../perf/demo/options.ts';
import { parseRun, pickRuns, readRuns, readSpeaker } from '../../perf/demo/recordedRuns.ts';
import { type DialogFaults, startFaultyDialogs } from './fixtures/faultyDialogs.ts';

const projectFolder = fileURLToPath(new URL('../..', import.meta.url));
const sampleFolder = fileURLToPath(new URL('../../perf/demo/sample', import.meta.url));

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the demo as a user does, on a database of its own. */
function runDemo(args: readonly string[], onOutput: (text: string, pid: number) => void = () => {}): Promise<Finished> {
  const { DATABASE_URL: _, REDIS_URL: __, ...env } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['perf/demo/main.ts', ...args], { cwd: projectFolder, env });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      onOutput(stdout, child.pid!);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

describe('npm run demo', () => {
  test('replays the sample without gap or duplicate and says so', async () => {
    const args = ['--data', sampleFolder, '--runs', '2', '--subscribers', '4', '--rate', '20', '--cuts', '3'];
    const { code, stdout, stderr } = await runDemo(args);
    expect(code, stdout + stderr).toBe(0);
    const messages = pickRuns(await readRuns(sampleFolder), 2).reduce((sum, run) => sum + run.messages.length, 0);
    expect(stdout).toContain('dialogs      2 in 2 contexts, 8 subscribers in another process');
    expect(stdout).toContain(`messages     ${messages} (`);
    expect(stdout).toContain(`deliveries   ${messages * 4}: `);
    expect(stdout).toContain('gaps 0, duplicates 0, reordered 0, wrong content 0, missing 0');
    expect(stdout).toMatch(/cuts {9}[1-9]\d*, of [12] subscribers; [1-9]\d* times resumed/);
    // The first line of times, of every delivery that was not replayed.
    expect(stdout).toMatch(
      / max\n {2}COMMIT to client( +\d+\.\d+){4} {3}from the moment COMMIT returned to the server\n {2}answer to client /,
    );
  });

  test('ends everything it has started when it is interrupted', async () => {
    let interrupted = false;
    let url = '';
    const { code, stdout } = await runDemo(['--data', sampleFolder, '--rate', '1'], (output, pid) => {
      url ||= /platform: (\S+\/)graphql/.exec(output)?.[1] ?? '';
      if (interrupted || !output.includes(' sent,')) return;
      interrupted = true;
      process.kill(pid, 'SIGINT');
    });
    expect([code, interrupted]).toEqual([130, true]);
    expect(stdout).not.toContain('gaps');
    await expect(fetch(`${url}live`)).rejects.toThrow('fetch failed');
  });

  test('refuses arguments that make no sense', async () => {
    expect(() => readOptions(['--rate', '0'])).toThrow('--rate: expected a whole number from 1 to 1000000, got "0"');
    expect(() => readOptions(['--url', 'localhost:4000'])).toThrow('--url: expected http://host:port/graphql');
    const { code, stderr } = await runDemo(['--colour', 'red']);
    expect([code, stderr.includes('usage: npm run demo')]).toEqual([2, true]);
  });
});

describe('npm run demo against a server', () => {
  async function runAgainst(faults: DialogFaults, cuts = 0): Promise<Finished> {
    const server = await startFaultyDialogs(faults);
    const dataDir = await mkdtemp(join(tmpdir(), 'demo-test-'));
    try {
      loadDevelopmentKey(developmentKeyDir(dataDir));
      const small = ['--runs', '2', '--subscribers', '4', '--rate', '20', '--cuts', `${cuts}`];
      return await runDemo(['--url', server.url, '--data-dir', dataDir, '--data', sampleFolder, ...small]);
    } finally {
      await server.close();
      await rm(dataDir, { recursive: true });
    }
  }

  test.each([
    ['leaves a message out', { drop: 3 }, 'gaps 8, duplicates 0, reordered 0, wrong content 0, missing 0'],
    ['repeats a message', { repeat: 3 }, 'gaps 0, duplicates 8, reordered 0, wrong content 0, missing 0'],
    ['changes a message', { change: 3 }, 'gaps 0, duplicates 0, reordered 0, wrong content 8, missing 0'],
  ] as const)('that %s ends with exit code 1', async (_, faults, expected) => {
    const { code, stdout, stderr } = await runAgainst(faults);
    expect([code, stderr]).toEqual([1, '']);
    expect(stdout).toContain(expected);
  });

  test('that forgets where a subscriber was ends with exit code 1', async () => {
    const { code, stdout } = await runAgainst({ replaysAll: true }, 3);
    expect(code, stdout).toBe(1);
    expect(stdout).toMatch(/gaps 0, duplicates [1-9]/);
  });

  test('that has no fault ends with exit code 0', async () => {
    const { code, stdout, stderr } = await runAgainst({}, 3);
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toContain('gaps 0, duplicates 0, reordered 0, wrong content 0, missing 0');
    expect(stdout).toMatch(/, [1-9]\d* messages replayed/);
    expect(stdout).toMatch(/ max\n {2}COMMIT to client +unknown: the platform was not started by the demo\n/);
  });
});

describe('recorded runs', () => {
  test('a participant is the name, else the role up to its bracket', () => {
    expect(readSpeaker('user', 'Computer_terminal')).toEqual({ participant: 'Computer_terminal', topic: null });
    expect(readSpeaker('Orchestrator (-> WebSurfer)', undefined)).toEqual({
      participant: 'Orchestrator',
      topic: '-> WebSurfer',
    });
    expect(readSpeaker('human', undefined)).toEqual({ participant: 'human', topic: null });
  });

  test('a file is a run with its participants, or an error that names it', () => {
    const history = [
      { content: 'a', role: 'Lead (thought)' },
      { content: 'b', role: 'Clerk' },
      { content: 'c', role: 'Lead' },
    ];
    const run = parseRun('drafted-7', JSON.stringify({ history }));
    expect([run.source, run.participants, run.messages.map(({ text }) => text)]).toEqual([
      'drafted',
      ['Lead', 'Clerk'],
      ['a', 'b', 'c'],
    ]);
    expect(() => parseRun('drafted-8', '{"history":[]}')).toThrow('drafted-8 is no recorded run');
  });
});

describe('the checker', () => {
  const stream = 'dialog';
  const rows = [1, 2, 3, 4, 5].map((sequence) => ({ stream, id: `m${sequence}`, sequence, digest: `d${sequence}` }));
  const record: RunRecord = { sent: rows, acknowledged: rows, rows };
  const clean = { gaps: 0, duplicates: 0, reordered: 0, wrongContent: 0, missing: 0 };

  function checkAfter(receive: (checker: DeliveryChecker, get: (sequence: number) => void) => void, told = record) {
    const checker = createDeliveryChecker();
    checker.subscribed('s', stream);
    receive(checker, (sequence) => checker.received('s', stream, rows[sequence - 1]!));
    return checker.check(told);
  }

  test('passes what came once and in order, also over a reconnect', () => {
    const findings = checkAfter((checker, get) => {
      for (const sequence of [1, 2]) get(sequence);
      checker.resumed('s', stream, 2);
      for (const sequence of [3, 4, 5]) get(sequence);
    });
    expect(findings).toEqual({ ...clean, examples: [] });
  });

  test.each([
    ['a gap', [1, 2, 4, 5], { gaps: 1 }],
    ['a gap at the start', [2, 3, 4, 5], { gaps: 1 }],
    ['a duplicate', [1, 2, 2, 3, 4, 5], { duplicates: 1 }],
    ['two that changed places', [1, 3, 2, 4, 5], { reordered: 1 }],
    ['an end that never came', [1, 2, 3], { missing: 2 }],
    ['nothing at all', [], { missing: 5 }],
  ] as const)('finds %s', (_, sequences, expected) => {
    expect(checkAfter((_checker, get) => sequences.forEach(get))).toMatchObject({ ...clean, ...expected });
  });

  test('finds what comes again after a reconnect, and what is lost by it', () => {
    const again = checkAfter((checker, get) => {
      for (const sequence of [1, 2, 3]) get(sequence);
      checker.resumed('s', stream, 3);
      for (const sequence of [3, 4, 5]) get(sequence);
    });
    expect(again).toMatchObject({ ...clean, duplicates: 1 });
    const lost = checkAfter((checker, get) => {
      for (const sequence of [1, 2]) get(sequence);
      checker.resumed('s', stream, 2);
      for (const sequence of [4, 5]) get(sequence);
    });
    expect(lost).toMatchObject({ ...clean, gaps: 1 });
    expect(lost.examples[0]).toContain('m3');
  });

  test('finds content that is not what was sent, at a subscriber and in the history', () => {
    const atSubscriber = checkAfter((checker, get) => {
      for (const sequence of [1, 2, 3, 4]) get(sequence);
      checker.received('s', stream, { ...rows[4]!, digest: 'other' });
    });
    expect(atSubscriber).toMatchObject({ ...clean, wrongContent: 1 });
    const changed = rows.map((row) => (row.sequence === 2 ? { ...row, digest: 'other' } : row));
    const inHistory = checkAfter((_, get) => [1, 2, 3, 4, 5].forEach(get), { ...record, rows: changed });
    expect(inHistory).toMatchObject({ ...clean, wrongContent: 1 });
  });

  test('finds an acknowledged message that the history lacks, and a history out of order', () => {
    const lost = checkAfter((_, get) => [1, 2, 3, 4].forEach(get), { ...record, rows: rows.slice(0, 4) });
    expect(lost).toMatchObject({ ...clean, missing: 1 });
    const sent = [rows[1]!, rows[0]!, ...rows.slice(2)];
    const reordered = checkAfter((_, get) => [1, 2, 3, 4, 5].forEach(get), { ...record, sent });
    expect(reordered).toMatchObject({ ...clean, reordered: 1 });
  });
});
