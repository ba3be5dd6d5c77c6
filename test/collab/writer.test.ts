import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '#shared/config.ts';
import { ann, type CollabRig, type Json, openCollabRig } from './rig.ts';

let rig: CollabRig;
let server: Server;
let folder: string;
const asked: { readonly method: string | undefined; readonly headers: IncomingHttpHeaders; readonly body: Json }[] = [];
let answer: (response: ServerResponse, body: Json) => void;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = JSON.parse(Buffer.concat(parts).toString()) as Json;
    asked.push({ method: request.method, headers: request.headers, body });
    answer(response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  folder = await mkdtemp(join(tmpdir(), 'mplp-writer-'));
  await writeFile(join(folder, 'token'), 's3cret\n');
  rig = await openCollabRig({
    env: {
      COLLAB_WRITER_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/advice`,
      COLLAB_WRITER_TOKEN_FILE: join(folder, 'token'),
      COLLAB_WRITER_TIMEOUT_MS: '500',
    },
  });
});
afterAll(async () => {
  await rig?.[Symbol.asyncDispose]();
  server?.closeAllConnections();
  server?.close();
  await rm(folder, { recursive: true, force: true });
});

const says =
  (wording: unknown, status = 200) =>
  (response: ServerResponse) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ wording }));

test('a service that is configured words advice by its figures; plain words stand in for it', async () => {
  const collabId = await rig.session(
    'ORCHESTRATED',
    ['bob', 'cat'].map((participantId) => ({ participantId, capabilities: ['code'] })),
  );
  const tasks = [1, 2, 3, 4].map((hours) => ({
    ...{ name: `t${hours}`, estimatedEffortHours: hours, requiredSkills: ['code'] },
  }));
  const created = await rig.act(ann, 'createCollabTasks', { collabId, tasks }, 'tasks { id }');
  for (const { id } of created['tasks']!.map((task) => task))
    await rig.act(ann, 'reassignCollabTask', { taskId: id, toParticipantId: 'bob' });
  const advice = async () => {
    const { recommendations } = await rig.act(
      ann,
      'requestRecommendations',
      { collabId, types: ['REBALANCE'] },
      'recommendations { wording gain confidence }',
    );
    return recommendations!.map((one) => one)[0]!;
  };

  answer = (response, { gain }) => says(`Share the work: ${Math.round(100 * Number(gain))} % sooner.`)(response);
  const worded = await advice();
  expect(worded['wording']).toBe(`Share the work: ${Math.round(100 * Number(worded['gain']))} % sooner.`);
  expect(asked).toEqual([
    {
      method: 'POST',
      headers: expect.objectContaining({ authorization: 'Bearer s3cret', 'content-type': 'application/json' }),
      body: expect.objectContaining({
        type: 'rebalance',
        gain: worded['gain'],
        confidence: worded['confidence'],
        plainWords: expect.stringContaining('Assign anew'),
      }),
    },
  ]);

  const plain = { wording: expect.stringContaining('Assign anew') };
  for (const wrong of [
    says('It saves 87.3 percent!'),
    says('It saves ٨٧ percent!'),
    says(7),
    says('Share the work.', 500),
    (response: ServerResponse) => void response.end('x'.repeat(70_000)),
  ] satisfies (typeof answer)[]) {
    answer = wrong;
    expect(await advice()).toMatchObject(plain);
  }
  // Too late is as good as never.
  answer = () => {};
  expect(await advice()).toMatchObject(plain);
});

test('one that fails is left alone for a while', async () => {
  const collabId = await rig.session('ORCHESTRATED', ['bob']);
  await rig.act(ann, 'createCollabTasks', {
    collabId,
    tasks: [{ name: 't', estimatedEffortHours: 1, requiredSkills: ['fly'] }],
  });
  answer = says('No.', 503);
  for (let n = 0; n < 6; n += 1) await rig.act(ann, 'requestRecommendations', { collabId });
  const before = asked.length;
  answer = says('Learn to fly.');
  const { recommendations } = await rig.act(ann, 'requestRecommendations', { collabId }, 'recommendations { wording }');
  expect(recommendations!.map(({ wording }) => wording)).toEqual([expect.stringMatching(/bring fly/)]);
  expect(asked.length).toBe(before);
});

test('an address that is none is refused at start', () => {
  expect(() => readConfig({ NODE_ENV: 'test', COLLAB_WRITER_URL: 'ftp://writer.example' })).toThrow(
    'COLLAB_WRITER_URL: expected an http(s) URL',
  );
});
