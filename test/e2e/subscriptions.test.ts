import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createFaultProxy } from '../support/faultProxy.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';

interface Update {
  contextUpdates: {
    cursor: string;
    sequence: number;
    type: string;
    changes: { title?: string } | null;
    context: { title: string; status: string };
  };
}

const updates = `subscription ($id: ID!, $after: String) {
  contextUpdates(contextId: $id, after: $after) { cursor sequence type changes context { title status } }
}`;

describe.each(modes)('subscriptions, %s', (mode) => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
  });
  afterAll(async () => {
    await platform.close();
  });

  async function create(): Promise<string> {
    const answer = await platform.query<{ createContext: { context: { id: string } } }>(
      'mutation { createContext(input: { title: "start", root: { domain: "d", environment: "e" } }) { context { id } } }',
    );
    return answer.data!.createContext.context.id;
  }

  async function rename(id: string, title: string): Promise<void> {
    const answer = await platform.query<{ updateContext: { userErrors: unknown[] } }>(
      'mutation ($id: ID!, $title: String!) { updateContext(contextId: $id, patch: { title: $title }) { userErrors { code } } }',
      { id, title },
    );
    expect(answer.data?.updateContext.userErrors).toEqual([]);
  }

  /** Reads a streamed HTTP answer until its text holds `count` payloads of the form given. */
  async function readStream(
    accept: string,
    body: unknown,
    pattern: RegExp,
    count: number,
    act: () => Promise<void>,
  ): Promise<unknown[]> {
    const abort = new AbortController();
    const response = await fetch(`${platform.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept },
      body: JSON.stringify(body),
      signal: abort.signal,
    });
    expect(response.status).toBe(200);
    await act();
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body!) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if ([...text.matchAll(pattern)].length >= count) break;
    }
    abort.abort();
    return [...text.matchAll(pattern)].slice(0, count).map((match) => JSON.parse(match[1]!));
  }

  it('delivers the same payloads over all three transports', async () => {
    const id = await create();
    const socket = subscribe<Update>({ url: platform.url, query: updates, variables: { id } });
    await new Promise((resolve) => setTimeout(resolve, 400));
    const request = { query: updates, variables: { id } };
    const sse = readStream('text/event-stream', request, /^data: (\{"data".*\})$/gm, 2, async () => {});
    const multipart = readStream(
      'multipart/mixed;boundary="graphql";subscriptionSpec="1.0",application/json',
      request,
      /^(\{"payload":\{"data".*\})\s*$/gm,
      2,
      async () => {},
    );
    await new Promise((resolve) => setTimeout(resolve, 400));
    await rename(id, 'one');
    await rename(id, 'two');
    await socket.until((payloads) => payloads.length === 2);
    const expected = socket.payloads.map((data) => ({ data }));
    expect(await sse).toEqual(expected);
    expect((await multipart).map((entry) => (entry as { payload: unknown }).payload)).toEqual(expected);
    expect(
      socket.payloads.map((payload) => [
        payload.contextUpdates.sequence,
        payload.contextUpdates.context.title,
        payload.contextUpdates.context.status,
      ]),
    ).toEqual([
      [2, 'one', 'ACTIVE'],
      [3, 'two', 'ACTIVE'],
    ]);
    await socket.close();
  });

  it('resumes after a cut connection without gap or repeat', async () => {
    const id = await create();
    const { hostname, port } = new URL(platform.url);
    const proxy = await createFaultProxy({ target: { host: hostname, port: Number(port) } });
    const seen: Update[] = [];
    for (let round = 0; round < 4; round += 1) {
      const after = seen.at(-1)?.contextUpdates.cursor ?? null;
      const socket = subscribe<Update>({
        url: `http://127.0.0.1:${proxy.port}`,
        query: updates,
        variables: { id, after },
      });
      await new Promise((resolve) => setTimeout(resolve, 250));
      await rename(id, `r${round}a`);
      await socket.until((payloads) =>
        payloads.some((payload) => payload.contextUpdates.changes?.title === `r${round}a`),
      );
      seen.push(...socket.payloads);
      proxy.cut();
      // Nobody listens to this one: only the cursor can bring it.
      await rename(id, `r${round}b`);
      await socket.close();
    }
    const titles = seen.map((update) => update.contextUpdates.changes!.title);
    expect(titles).toEqual(['r0a', 'r0b', 'r1a', 'r1b', 'r2a', 'r2b', 'r3a']);
    expect(seen.map((update) => update.contextUpdates.sequence)).toEqual(titles.map((_, index) => index + 2));
    await proxy.close();
  });

  it('refuses cursors of other streams and unknown contexts with a typed error', async () => {
    const [id, other] = [await create(), await create()];
    const socket = subscribe<Update>({ url: platform.url, query: updates, variables: { id } });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await rename(id, 'x');
    await socket.until((payloads) => payloads.length === 1);
    const foreign = subscribe<Update>({
      url: platform.url,
      query: updates,
      variables: { id: other, after: socket.payloads[0]!.contextUpdates.cursor },
    });
    const unknown = subscribe<Update>({ url: platform.url, query: updates, variables: { id: crypto.randomUUID() } });
    await expect.poll(() => [foreign.errors.length, unknown.errors.length]).toEqual([1, 1]);
    expect(JSON.stringify(foreign.errors)).toContain('CURSOR_INVALID');
    expect(JSON.stringify(unknown.errors)).toContain('NOT_FOUND');
    await Promise.all([socket, foreign, unknown].map((entry) => entry.close()));
  });

  it('keeps a socket open when one of its operations has a syntax error', async () => {
    const id = await create();
    const socket = new WebSocket(`${platform.url.replace(/^http/, 'ws')}/graphql`, 'graphql-transport-ws');
    const messages: { type: string; id?: string; payload?: unknown }[] = [];
    socket.on('message', (data) => messages.push(JSON.parse(String(data))));
    await new Promise((resolve) => socket.once('open', resolve));
    const send = (message: unknown) => socket.send(JSON.stringify(message));
    send({ type: 'connection_init' });
    await expect.poll(() => messages.map((message) => message.type)).toContain('connection_ack');
    send({ id: 'good', type: 'subscribe', payload: { query: updates, variables: { id } } });
    send({ id: 'broken', type: 'subscribe', payload: { query: 'subscription { contextUpdates(' } });
    send({ id: 'query', type: 'subscribe', payload: { query: '{ me { subject } }' } });
    await expect
      .poll(() => messages.filter((message) => message.id === 'broken').map((message) => message.type))
      .toEqual(['error']);
    await expect
      .poll(() => messages.filter((message) => message.id === 'query').map((message) => message.type))
      .toEqual(['next', 'complete']);
    await rename(id, 'still here');
    await expect.poll(() => messages.filter((message) => message.id === 'good').length).toBe(1);
    expect(socket.readyState).toBe(WebSocket.OPEN);
    socket.terminate();
  });
});
