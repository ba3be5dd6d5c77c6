import { createHash } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeCursor, encodeCursor } from '#shared/cursor.ts';
import { createFaultProxy, type FaultProxy } from '../support/faultProxy.ts';
import { createHistory, type FinalRow } from '../support/historyChecker.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import { type Subscription, subscribe } from '../support/subscribe.ts';

interface Followed {
  readonly cursor: string;
  readonly sequence: number;
  /** Of those that tell one kind of event alone, absent. */
  readonly type?: string;
}

/** A stream with somebody who makes it longer. */
interface Source {
  readonly module: 'collab' | 'extension' | 'network';
  readonly streamId: string;
  /** Field of `Subscription`, its argument, and whether it tells the type of an event. */
  readonly field: string;
  readonly argument: string;
  readonly tellsType: boolean;
  /** Events of the stream that the field selects. */
  readonly selects: (type: string) => boolean;
  /** Makes one event that holds the mark; answers the text to find it by. */
  act(mark: string): Promise<string>;
}

const bundle = 'export const Main = { work: () => ({ done: true }) };';
const release = {
  manifest: {
    entry_point: 'main.js',
    main_class: 'Main',
    capabilities: [{ name: 'work', interfaces: [{ interface_name: 'work', methods: [{ method_name: 'work' }] }] }],
  },
  bundle,
  checksum: createHash('sha256').update(bundle).digest('hex'),
};
const dayMs = 86_400_000;

describe.each(modes)('streams over a connection that fails, %s', (mode) => {
  let platform: Platform;
  let database: pg.Client;
  let proxy: FaultProxy;
  let token: string;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    token = await platform.token({ tenant: 'streams', subject: 'ann', roles: ['admin'] });
    database = new pg.Client({ connectionString: platform.databaseUrl });
    await database.connect();
    const { hostname, port } = new URL(platform.url);
    proxy = await createFaultProxy({ target: { host: hostname, port: Number(port) } });
  });
  afterAll(async () => {
    await proxy?.close();
    await database?.end();
    await platform?.close();
  });

  async function act<Payload>(field: string, document: string, variables: object): Promise<Payload> {
    const answer = await platform.query<Record<string, Payload & { userErrors: unknown[] }>>(
      document,
      { ...variables },
      { token },
    );
    expect([field, answer.errors, answer.data?.[field]?.userErrors]).toEqual([field, [], []]);
    return answer.data![field]!;
  }
  const withInput = <Payload>(field: string, type: string, selection: string, input: object) =>
    act<Payload>(
      field,
      `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} userErrors { code message } } }`,
      { input },
    );

  async function openContext(): Promise<string> {
    const { context } = await withInput<{ context: { id: string } }>(
      'createContext',
      'CreateContextInput',
      'context { id }',
      { title: 'Streams', root: { domain: 'streams', environment: 'faults' } },
    );
    return context.id;
  }

  async function openCollab(): Promise<string> {
    const { collaboration } = await withInput<{ collaboration: { id: string } }>(
      'createCollaboration',
      'CreateCollaborationInput',
      'collaboration { id }',
      {
        contextId: await openContext(),
        title: 'Streams',
        purpose: 'to be followed',
        mode: 'BROADCAST',
        participants: ['ann', 'bob'].map((participantId) => ({ participantId, kind: 'AGENT', roleId: 'worker' })),
        activate: true,
      },
    );
    return collaboration.id;
  }

  async function openNetwork(): Promise<{ networkId: string; nodeIds: readonly [string, string] }> {
    const nodeIds = [crypto.randomUUID(), crypto.randomUUID()] as const;
    const { network } = await withInput<{ network: { id: string } }>(
      'createNetwork',
      'CreateNetworkInput',
      'network { id }',
      {
        contextId: await openContext(),
        name: 'Streams',
        topologyType: 'OTHER',
        provision: true,
        nodes: nodeIds.map((id, at) => ({ id, name: `node ${at}` })),
        links: [{ sourceId: nodeIds[0], targetId: nodeIds[1] }],
      },
    );
    return { networkId: network.id, nodeIds };
  }

  async function openExtension(): Promise<{ extensionId: string; capabilityId: string }> {
    const { extension } = await withInput<{ extension: { id: string } }>(
      'registerExtension',
      'RegisterExtensionInput',
      'extension { id }',
      {
        contextId: await openContext(),
        name: `streams-${crypto.randomUUID().slice(0, 8)}`,
        extensionType: 'CAPABILITY',
        version: '1.0.0',
        release,
      },
    );
    const extensionId = extension.id;
    await withInput('installExtension', 'InstallExtensionInput', 'extension { id }', { extensionId });
    const { registeredCapabilities } = await withInput<{ registeredCapabilities: { id: string }[] }>(
      'loadExtension',
      'LoadExtensionInput',
      'registeredCapabilities { id }',
      { extensionId },
    );
    return { extensionId, capabilityId: registeredCapabilities[0]!.id };
  }

  const sources: Readonly<Record<string, () => Promise<Source>>> = {
    async coordinationUpdate() {
      const collabId = await openCollab();
      return {
        module: 'collab',
        streamId: collabId,
        field: 'coordinationUpdate',
        argument: 'collabId',
        tellsType: true,
        selects: (type) => type.startsWith('collab.'),
        async act(mark) {
          await act(
            'updateCollaboration',
            'mutation ($collabId: ID!, $title: String!) { updateCollaboration(collabId: $collabId, patch: { title: $title }) { userErrors { code message } } }',
            { collabId, title: mark },
          );
          return mark;
        },
      };
    },
    async mapEvents() {
      const collabId = await openCollab();
      return {
        module: 'collab',
        streamId: collabId,
        field: 'mapEvents',
        argument: 'collabId',
        tellsType: true,
        selects: (type) => ['collab.activated', 'collab.roles.assigned', 'collab.broadcast.sent'].includes(type),
        async act(mark) {
          await withInput('broadcast', 'BroadcastInput', 'broadcast { id }', {
            collabId,
            message: { mark },
            timeoutMs: dayMs,
          });
          return mark;
        },
      };
    },
    async networkEvent() {
      const { networkId } = await openNetwork();
      return {
        module: 'network',
        streamId: networkId,
        field: 'networkEvent',
        argument: 'networkId',
        tellsType: true,
        selects: (type) => /^(network|node|link|connection|service|routes)\./.test(type),
        async act(mark) {
          await act(
            'updateNetwork',
            'mutation ($networkId: ID!, $name: String!) { updateNetwork(networkId: $networkId, patch: { name: $name }) { userErrors { code message } } }',
            { networkId, name: mark },
          );
          return mark;
        },
      };
    },
    async networkMessages() {
      const { networkId, nodeIds } = await openNetwork();
      return {
        module: 'network',
        streamId: networkId,
        field: 'networkMessages',
        argument: 'networkId',
        tellsType: true,
        selects: (type) => type.startsWith('message.'),
        async act(mark) {
          await withInput('sendNetworkMessage', 'SendNetworkMessageInput', 'message { messageId }', {
            networkId,
            senderId: nodeIds[0],
            recipients: [nodeIds[1]],
            payload: { mark },
            ttlMs: dayMs,
          });
          return mark;
        },
      };
    },
    async extensionStatusUpdated() {
      const { extensionId } = await openExtension();
      return {
        module: 'extension',
        streamId: extensionId,
        field: 'extensionStatusUpdated',
        argument: 'extensionId',
        tellsType: true,
        selects: (type) => type.startsWith('extension.'),
        async act(mark) {
          await withInput('updateExtensionConfig', 'UpdateExtensionConfigInput', 'extension { id }', {
            extensionId,
            config: { mark },
          });
          return mark;
        },
      };
    },
    async capabilityInvoked() {
      const { extensionId, capabilityId } = await openExtension();
      return {
        module: 'extension',
        streamId: capabilityId,
        field: 'capabilityInvoked',
        argument: 'capabilityId',
        tellsType: false,
        selects: (type) => type === 'capability.invoked',
        async act() {
          const { executionId } = await withInput<{ executionId: string }>(
            'executeExtension',
            'ExecuteExtensionInput',
            'executionId',
            { extensionId, capabilityId, method: 'work' },
          );
          return executionId;
        },
      };
    },
  };

  it.each(Object.keys(sources))(
    '%s: cut, torn within a frame, stalled and refused, it goes on without gap or repeat',
    async (name) => {
      const source = await sources[name]!();
      const { field, argument, streamId, tellsType } = source;
      const query = `subscription ($id: ID!, $after: String) { ${field}(${argument}: $id, after: $after) { cursor sequence ${tellsType ? 'type' : ''} } }`;
      const history = createHistory();
      const marks: string[] = [];
      let last = 0;
      history.subscribed('ann', { stream: streamId, after: 0, selects: ({ type }) => source.selects(type!) });

      async function write(times: number): Promise<void> {
        for (let time = 0; time < times; time += 1) marks.push(await source.act(`<mark ${1_000 + marks.length}>`));
      }
      async function record(): Promise<(FinalRow & { readonly text: string })[]> {
        const { rows } = await database.query<{ sequence: string; type: string; text: string }>(
          `SELECT sequence, type, data::text AS text FROM ${source.module}.event WHERE stream_id = $1 ORDER BY sequence`,
          [streamId],
        );
        return rows.map(({ sequence, type, text }) => ({
          stream: streamId,
          id: `${sequence} ${type}`,
          sequence: Number(sequence),
          type,
          text,
        }));
      }
      const listen = () =>
        subscribe<Record<string, Followed>>({
          url: proxy.url('http'),
          token,
          query,
          variables: { id: streamId, after: encodeCursor(streamId, last) },
        });
      const eventsOf = (socket: Subscription<Record<string, Followed>>) =>
        socket.payloads.map((payload) => payload[field]!);
      /** Waits until what has been recorded so far has come. */
      async function caughtUp(socket: Subscription<Record<string, Followed>>): Promise<void> {
        let head = 0;
        // Calls of methods are recorded behind their answers.
        await expect
          .poll(
            async () => {
              const selected = (await record()).filter(({ type }) => source.selects(type!));
              head = selected.at(-1)?.sequence ?? 0;
              return marks.filter((mark) => !selected.some(({ text }) => text.includes(mark)));
            },
            { timeout: 10_000 },
          )
          .toEqual([]);
        await socket.until((payloads) => (payloads.at(-1)?.[field]?.sequence ?? 0) >= head, 30_000);
      }
      async function leave(socket: Subscription<Record<string, Followed>>): Promise<void> {
        await socket.close();
        for (const { cursor, sequence, type = 'capability.invoked' } of eventsOf(socket)) {
          expect(decodeCursor(cursor, streamId)).toBe(sequence);
          history.delivered('ann', { stream: streamId, id: `${sequence} ${type}`, sequence });
          last = sequence;
        }
        history.resumed('ann', last, streamId);
      }

      const faults: readonly ((socket: Subscription<Record<string, Followed>>) => Promise<void>)[] = [
        async (socket) => {
          await caughtUp(socket);
          const seen = socket.payloads.length;
          const writing = write(4);
          await socket.until((payloads) => payloads.length > seen, 30_000);
          proxy.cut();
          await writing;
        },
        async (socket) => {
          await caughtUp(socket);
          // Room for one frame and part of another.
          proxy.dropAfterBytes(300);
          for (let tries = 0; tries < 20 && socket.errors.length === 0; tries += 1) await write(1);
          await expect.poll(() => socket.errors.length, { timeout: 10_000 }).toBeGreaterThan(0);
          await proxy.heal();
        },
        async (socket) => {
          await caughtUp(socket);
          proxy.pause();
          await write(3);
          proxy.cut();
          proxy.resume();
        },
        async (socket) => {
          await caughtUp(socket);
          proxy.refuse();
          proxy.cut();
          await write(2);
          const refused = listen();
          await expect.poll(() => refused.errors.length, { timeout: 10_000 }).toBeGreaterThan(0);
          expect(refused.payloads).toEqual([]);
          await refused.close();
          await proxy.heal();
        },
      ];
      for (const fault of faults) {
        const socket = listen();
        await write(2);
        await fault(socket);
        // Nobody listens: only the cursor can bring it.
        await leave(socket);
        await write(2);
      }
      const whole = listen();
      await write(2);
      await caughtUp(whole);
      await leave(whole);
      expect(whole.errors).toEqual([]);

      const rows = await record();
      const selected = rows.filter(({ type }) => source.selects(type!));
      for (const mark of marks)
        expect([mark, selected.filter(({ text }) => text.includes(mark)).length]).toEqual([mark, 1]);
      const report = history.check(rows);
      expect(report.violations).toEqual([]);
      expect(report).toMatchObject({ deliveries: selected.length, redelivered: 0 });
    },
    120_000,
  );
});
