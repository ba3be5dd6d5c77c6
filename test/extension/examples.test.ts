import { sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { type ExampleExtension, readExamples } from '../../subgraphs/extension/examples/index.ts';
import { digestOf } from '../../subgraphs/extension/manifest/signature.ts';
import { admin, alice, codesOf, type ExtensionRig, openExtensionRig, trustedKey } from './rig.ts';

let rig: ExtensionRig;
let examples: Awaited<ReturnType<typeof readExamples>>;
let contextId: string;
beforeAll(async () => {
  [rig, examples] = [await openExtensionRig(), await readExamples()];
  contextId = rig.openContext();
});
afterAll(() => rig?.[Symbol.asyncDispose]());

async function start(example: ExampleExtension, config: object = {}) {
  const { manifest, bundle, ...shown } = example;
  const key = await trustedKey(rig, 'MEDIUM');
  const digest = digestOf(bundle);
  const registered = rig.insist(
    await rig.mutate(admin, 'registerExtension', 'RegisterExtensionInput', {
      ...shown,
      contextId,
      name: `${example.name}-${newId().slice(0, 4)}`,
      config,
      release: {
        manifest,
        bundle,
        checksum: digest.toString('hex'),
        signature: sign(null, digest, key).toString('base64'),
      },
    }),
  );
  const extensionId = String(registered['extension']!['id']);
  rig.insist(
    await rig.mutate(admin, 'installExtension', 'InstallExtensionInput', {
      extensionId,
      settings: { autoStart: true },
    }),
  );
  const capabilityId = String(registered['extension']!['capabilities']!.map((one) => one['id'])[0]);
  return {
    extensionId,
    call: (method: string, parameters: unknown) =>
      rig.execute(alice, { extensionId, capabilityId, method, parameters }),
  };
}

describe('redaction of secrets', () => {
  it('takes keys, tokens and passwords out of texts and leaves all else', async () => {
    const { call } = await start(examples.redaction);
    const redact = async (text: string) => (await call('redact', { text }))['result'];
    const token = `ghp_${'a1B2'.repeat(9)}`;
    expect(
      await redact(`key AKIAABCDEFGHIJKLMNOP, ${token}, postgres://app:hunter22@db/x, password: tr0ub4dor`),
    ).toEqual({
      text: 'key [AWS_ACCESS_KEY], [GITHUB_TOKEN], postgres://app:[URL_PASSWORD]@db/x, password: [ASSIGNED_SECRET]',
      found: { AWS_ACCESS_KEY: 1, GITHUB_TOKEN: 1, URL_PASSWORD: 1, ASSIGNED_SECRET: 1 },
    });
    const plain = 'Meet at https://example.org/a:b at 10:30, the token gesture is fine.';
    expect(await redact(plain)).toEqual({ text: plain, found: {} });
    const pem = '-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----';
    expect(await redact(`before ${pem} after`)).toMatchObject({ text: 'before [PRIVATE_KEY] after' });
  });

  it('changes a message before it is sent, or vetoes it', async () => {
    await start(examples.redaction);
    const ask = (payload: object) =>
      rig.ask(
        alice,
        'mutation ($input: RunExtensionHooksInput!) { runExtensionHooks(input: $input) { payload vetoed vetoReason asked failed userErrors { code } } }',
        { input: { contextId, point: 'dialog.message_sent', payload } },
      );
    const changed = (await ask({ content: { text: 'secret = abcdef123', tags: ['token: qwertz99'] } }))[
      'runExtensionHooks'
    ]!;
    expect(changed['payload']).toEqual({
      content: { text: 'secret = [ASSIGNED_SECRET]', tags: ['token: [ASSIGNED_SECRET]'] },
    });
    expect([changed['vetoed'], changed['failed']]).toEqual([false, []]);
    expect((await ask({ content: { text: 'hello' } }))['runExtensionHooks']!['payload']).toEqual({
      content: { text: 'hello' },
    });
    const strict = await start(examples.redaction, { veto: true });
    // The one that came first has taken the secret out by then: alone, the second vetoes.
    const other = rig.openContext();
    await rig.sql`UPDATE extension.hook SET context_id = ${other} WHERE extension_id = ${strict.extensionId}`;
    const vetoed = (
      await rig.ask(
        alice,
        'mutation ($input: RunExtensionHooksInput!) { runExtensionHooks(input: $input) { vetoed vetoReason vetoedBy } }',
        { input: { contextId: other, point: 'dialog.message_sent', payload: { text: 'password=abcdefgh' } } },
      )
    )['runExtensionHooks'];
    expect(vetoed).toEqual({
      vetoed: true,
      vetoReason: 'the message holds secrets: ASSIGNED_SECRET',
      vetoedBy: strict.extensionId,
    });
  });
});

describe('quadratic tally', () => {
  const options = [{ id: 'road' }, { id: 'park' }];
  const allocation = (votes: Readonly<Record<string, number>>) => ({ kind: 'allocation', votes });

  it('counts ballots whose votes cost their square; who spends too much is not counted', async () => {
    const { call } = await start(examples.voteTally);
    const ballots = [
      { voter: 'ann', vote: allocation({ park: 9, road: 1 }) },
      { voter: 'bob', vote: allocation({ road: 5 }) },
      { voter: 'cid', vote: allocation({ road: 2, park: -2 }) },
      { voter: 'dee', vote: allocation({ park: 11 }) },
    ];
    expect((await call('tally', { options, ballots }))['result']).toEqual({
      winner: 'road',
      tied: [],
      standings: [
        { option: 'road', support: 8 },
        { option: 'park', support: 7 },
      ],
      rationale: 'Quadratic voting, 100 credits a voter; 1 spent more and were not counted.',
      spoiled: 1,
    });
  });

  it('buys votes for what is no allocation, by the weight of all whom a ballot speaks for', async () => {
    const { call } = await start(examples.voteTally, { credits: 54 });
    const count = async (ballots: readonly object[]) => (await call('tally', { options, ballots }))['result'];
    // 54 credits: 7 votes for one, 5 for each of two, 6 and 4 by rank.
    expect(await count([{ vote: { kind: 'choice', option: 'road' }, weight: 0.25 }])).toMatchObject({
      winner: 'road',
      standings: [{ option: 'road', support: 1.75 }, { support: 0 }],
    });
    expect(
      await count([{ vote: { kind: 'ranking', order: ['park', 'road'] } }, { vote: { kind: 'abstain' } }]),
    ).toMatchObject({
      winner: 'park',
      standings: [
        { option: 'park', support: 6 },
        { option: 'road', support: 4 },
      ],
    });
    expect(await count([{ vote: { kind: 'approvals', options: ['road', 'park'] } }])).toMatchObject({
      winner: null,
      tied: ['road', 'park'],
      standings: [{ support: 5 }, { support: 5 }],
    });
    expect(await count([{ vote: allocation({ road: -1 }) }])).toMatchObject({ winner: null, tied: [] });
  });

  it.each([
    [
      'VOTED_TWICE',
      [
        { voter: 'ann', vote: allocation({}) },
        { voter: 'ann', vote: allocation({}) },
      ],
    ],
    ['UNKNOWN_OPTION', [{ voter: 'ann', vote: allocation({ moon: 1 }) }]],
    ['FRACTIONAL_VOTE', [{ voter: 'ann', vote: allocation({ road: 0.5 }) }]],
    ['UNKNOWN_VOTE', [{ voter: 'ann', vote: { kind: 'shout' } }]],
  ])('refuses with %s, which opens no circuit', async (code, ballots) => {
    const { call } = await start(examples.voteTally);
    const answer = await call('tally', { options, ballots });
    expect([codesOf(answer), answer['execution']!['error']!['code']]).toEqual([['EXTENSION_FAILED'], code]);
  });
});

describe('webhook formatter', () => {
  it('writes events for their receivers', async () => {
    const { call } = await start(examples.webhookFormatter, { source: 'mplp.test' });
    const event = {
      id: 'e1',
      type: 'plan.execution.failed',
      at: '2026-11-27T10:00:00.000Z',
      subject: 'p1',
      data: { plan: 'Dock <4>', steps: { a: 1 } },
    };
    const body = async (target: string) => (await call('format', { event, target }))['result']!['body']!;
    expect(await body('slack')).toEqual({
      text: 'Plan execution failed',
      attachments: [{ color: '#cf222e', fields: [{ title: 'plan', value: 'Dock &lt;4&gt;', short: true }] }],
    });
    expect(await body('pagerduty')).toMatchObject({
      event_action: 'trigger',
      dedup_key: 'p1',
      payload: { severity: 'error', source: 'mplp.test', custom_details: { plan: 'Dock <4>' } },
    });
    expect(await body('cloudevents')).toMatchObject({ specversion: '1.0', id: 'e1', type: 'plan.execution.failed' });
    expect(codesOf(await call('format', { event, target: 'fax' }))).toEqual(['EXTENSION_FAILED']);
  });

  it('hears of plans that have ended, keeps count and tells who follows it', async () => {
    const { extensionId, call } = await start(examples.webhookFormatter);
    await rig.service.start();
    const plan = (id: string) => ({ plan: { id: newId(), contextId: id, status: 'completed' } });
    await rig.tell('plan', 'plan.execution.completed', plan(contextId));
    await rig.tell('plan', 'plan.execution.failed', plan(contextId));
    // Another context's plan is none of its business.
    await rig.tell('plan', 'plan.execution.failed', plan(newId()));
    await rig.service.catchUp();
    expect((await call('formatted', {}))['result']).toEqual({ count: 2 });
    const told = await rig.replay(alice, 'extensionStatusUpdated', { extensionId });
    const emitted = told.filter((one) => String(one['type']) === 'webhook.formatted');
    expect(emitted.map((one) => [one['data']!['count'], one['data']!['body']!['type']])).toEqual([
      [1, 'plan.execution.completed'],
      [2, 'plan.execution.failed'],
    ]);
  });
});
