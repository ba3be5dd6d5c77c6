import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';
import type { Json } from './rig.ts';

let platform: Platform;
let token: string;
beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  token = await platform.token({ tenant: 'one', subject: 'alice' });
}, 60_000);
afterAll(() => platform.close());

const errors = 'userErrors { code message }';
async function field(document: string, variables: object = {}): Promise<Json> {
  const answer = await platform.query<Json>(document, variables as Record<string, unknown>, { token });
  expect(answer.errors).toEqual([]);
  const payload = Object.values(answer.data!)[0] as Json;
  expect(payload.userErrors).toEqual([]);
  return payload;
}

interface Update {
  readonly cursor: string;
  readonly sequence: number;
  readonly type: string;
  readonly spanCount: number;
  readonly status: string;
}

test('updates of a trace go on behind a cursor without gap or repeat, while spans keep coming', async () => {
  const { context } = await field(
    `mutation { createContext(input: { title: "room", root: { domain: "d", environment: "e" } }) { context { id } ${errors} } }`,
  );
  const { trace } = await field(
    `mutation ($id: ID!) { createTrace(input: { contextId: $id, name: "t" }) { trace { id } ${errors} } }`,
    { id: context.id },
  );
  const { id } = trace;
  let added = 0;
  const add = async () => {
    added += 1;
    await field(
      `mutation ($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { accepted ${errors} } }`,
      {
        id,
        spans: [
          {
            spanId: added.toString(16).padStart(16, '0'),
            name: 'work',
            service: 'shop',
            startTimeUnixNano: `${Date.now()}000000`,
            endTimeUnixNano: `${Date.now() + 1}000000`,
          },
        ],
      },
    );
  };
  const follow = (after: string | null) =>
    subscribe<{ traceUpdates: Update }>({
      url: platform.url,
      query:
        'subscription ($id: ID!, $after: String) { traceUpdates(traceId: $id, after: $after) { cursor sequence type spanCount status } }',
      variables: { id, after },
      token,
    });
  const seen: Update[] = [];
  /** Follows until so many spans were told of, and cuts. */
  const see = async (spans: number, doing: () => Promise<void>) => {
    const stream = follow(seen.at(-1)?.cursor ?? null);
    if (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 1_000));
    await doing();
    await stream.until((payloads) => payloads.some(({ traceUpdates }) => traceUpdates.spanCount >= spans), 30_000);
    expect(stream.errors).toEqual([]);
    seen.push(...stream.payloads.map(({ traceUpdates }) => traceUpdates));
    await stream.close();
  };
  await see(1, add);
  // Nobody listens.
  await add();
  await add();
  // What was missed is replayed while more comes.
  await see(8, async () => {
    for (let at = 0; at < 5; at += 1) await add();
  });
  await field(`mutation ($id: ID!) { endTrace(traceId: $id) { ${errors} } }`, { id });
  const last = follow(seen.at(-1)!.cursor);
  await last.until((payloads) => payloads.some(({ traceUpdates }) => traceUpdates.status === 'COMPLETED'), 30_000);
  seen.push(...last.payloads.map(({ traceUpdates }) => traceUpdates));
  await last.close();
  const first = seen[0]!.sequence;
  expect(seen.map(({ sequence }) => sequence)).toEqual(seen.map((_update, at) => first + at));
  expect(seen.map(({ spanCount }) => spanCount)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 8]);
  expect(seen.at(-1)!.type).toBe('trace.status.changed');

  const elsewhere = subscribe({
    url: platform.url,
    query: 'subscription ($id: ID!, $after: String) { traceUpdates(traceId: $id, after: $after) { sequence } }',
    variables: { id, after: 'nonsense' },
    token,
  });
  await expect.poll(() => JSON.stringify(elsewhere.errors), { timeout: 5_000 }).toContain('CURSOR_INVALID');
  await elsewhere.close();
}, 60_000);
