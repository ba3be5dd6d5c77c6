import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';

interface Received {
  messageReceived: { cursor: string; kind: string; message: { sequence: number; content: { text: string } } | null };
}

const received = `subscription ($id: ID!, $after: String) {
  messageReceived(dialogId: $id, after: $after) { cursor kind message { sequence content { text } } }
}`;
const send = `mutation ($id: ID!, $text: String!, $key: String) {
  sendMessage(input: { dialogId: $id, content: { text: $text }, clientMessageId: $key }) { message { id sequence } userErrors { code path } }
}`;

interface Sent {
  sendMessage: {
    message: { id: string; sequence: number } | null;
    userErrors: { code: string; path: string[] | null }[];
  };
}

describe.each(modes)('a dialog in a context, %s', (mode) => {
  let platform: Platform;
  let ann: string;
  let bob: string;
  let outsider: string;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    [ann, bob, outsider] = (await Promise.all(
      ['ann', 'bob', 'eve'].map((subject) => platform.token({ tenant: 'talk', subject })),
    )) as [string, string, string];
  });
  afterAll(async () => {
    await platform.close();
  });

  async function open(): Promise<{ id: string; bobId: string }> {
    const context = await platform.query<{ createContext: { context: { id: string } } }>(
      'mutation { createContext(input: { title: "talk", root: { domain: "d", environment: "e" } }) { context { id } } }',
      {},
      { token: ann },
    );
    // Created a moment ago by another subgraph: the dialog module has not heard of it yet and asks.
    const dialog = await platform.query<{
      createDialog: { dialog: { id: string; participants: { nodes: { id: string; subject: string }[] } } };
    }>(
      `mutation ($contextId: ID!) {
        createDialog(input: { contextId: $contextId, name: "Plan", participants: [{ subject: "bob" }] }) {
          dialog { id participants { nodes { id subject } } } userErrors { code message }
        }
      }`,
      { contextId: context.data!.createContext.context.id },
      { token: ann },
    );
    const created = dialog.data!.createDialog.dialog;
    return { id: created.id, bobId: created.participants.nodes.find((node) => node.subject === 'bob')!.id };
  }

  it('numbers messages without a gap, sends each once, and answers history and inbox in order', async () => {
    const { id } = await open();
    const texts = Array.from({ length: 30 }, (_, index) => `m${index}`);
    const answers = await Promise.all(
      texts.map((text, index) =>
        platform.query<Sent>(send, { id, text, key: text }, { token: index % 2 === 0 ? ann : bob }),
      ),
    );
    const sequences = answers.map((answer) => answer.data!.sendMessage.message!.sequence);
    expect([...sequences].sort((a, b) => a - b)).toEqual(texts.map((_, index) => index + 1));
    const again = await platform.query<Sent>(send, { id, text: 'm0', key: 'm0' }, { token: ann });
    expect(again.data!.sendMessage.message).toEqual(answers[0]!.data!.sendMessage.message);
    const other = await platform.query<Sent>(send, { id, text: 'changed', key: 'm0' }, { token: ann });
    expect(other.data!.sendMessage.userErrors.map((error) => error.code)).toEqual(['DUPLICATE_MESSAGE']);
    const history = await platform.query<{
      dialog: { messages: { nodes: { sequence: number; content: { text: string } }[]; totalCount: number } };
    }>(
      'query ($id: ID!) { dialog(id: $id) { messages(first: 100) { totalCount nodes { sequence content { text } } } } }',
      { id },
      { token: bob },
    );
    expect(history.errors).toEqual([]);
    const nodes = history.data!.dialog.messages.nodes;
    expect(history.data!.dialog.messages.totalCount).toBe(30);
    expect(nodes.map((node) => node.sequence)).toEqual(texts.map((_, index) => index + 1));
    for (const [index, answer] of answers.entries())
      expect(nodes[answer.data!.sendMessage.message!.sequence - 1]!.content.text).toBe(texts[index]);
    const inbox = await platform.query<{
      dialogInbox: { messages: { sequence: number }[]; nextCursor: number; hasMore: boolean };
    }>(
      'query ($id: ID!) { dialogInbox(dialogId: $id, after: 10, limit: 5) { messages { sequence } nextCursor hasMore } }',
      { id },
      { token: bob },
    );
    expect(inbox.data!.dialogInbox).toEqual({
      messages: [11, 12, 13, 14, 15].map((sequence) => ({ sequence })),
      nextCursor: 15,
      hasMore: true,
    });
  });

  it('ends the stream of a participant who is removed, and lets outsiders see nothing', async () => {
    const { id, bobId } = await open();
    const [mine, his, hers] = [ann, bob, outsider].map((token) =>
      subscribe<Received>({ url: platform.url, query: received, variables: { id }, token }),
    );
    await expect.poll(() => hers!.errors.length, { timeout: 30_000 }).toBe(1);
    expect(JSON.stringify(hers!.errors)).toMatch(/NOT_A_PARTICIPANT|NOT_FOUND|PERMISSION_DENIED/);
    await new Promise((resolve) => setTimeout(resolve, 400));
    await platform.query(send, { id, text: 'before' }, { token: ann });
    await his!.until((payloads) => payloads.length === 1);
    const removed = await platform.query<{ removeDialogParticipant: { userErrors: unknown[] } }>(
      'mutation ($id: ID!, $bobId: ID!) { removeDialogParticipant(dialogId: $id, participantId: $bobId) { userErrors { code message } } }',
      { id, bobId },
      { token: ann },
    );
    expect(removed.data!.removeDialogParticipant.userErrors).toEqual([]);
    await platform.query(send, { id, text: 'after' }, { token: ann });
    await mine!.until((payloads) => payloads.length === 2);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(his!.payloads.map((payload) => payload.messageReceived.message!.content.text)).toEqual(['before']);
    // Resuming with the last cursor brings nothing either.
    const back = subscribe<Received>({
      url: platform.url,
      query: received,
      variables: { id, after: his!.payloads[0]!.messageReceived.cursor },
      token: bob,
    });
    await expect.poll(() => back.errors.length).toBe(1);
    expect(back.payloads).toEqual([]);
    expect(
      (await platform.query<Sent>(send, { id, text: 'x' }, { token: bob })).data!.sendMessage.userErrors.map(
        (error) => error.code,
      ),
    ).toEqual(['NOT_A_PARTICIPANT']);
    await Promise.all([mine, his, hers, back].map((entry) => entry!.close()));
  });

  it('answers what was asked often as it stands now, and to each its own', async () => {
    const { id, bobId } = await open();
    // As whole answers are kept from the second time on.
    const read = async (token: string) => {
      const answer = await platform.query<{ dialogMessages: { nodes: { content: { text: string } }[] } }>(
        'query Often($id: ID!) { dialogMessages(dialogId: $id) { nodes { content { text } } } }',
        { id },
        { token },
      );
      return answer.errors.length > 0 ? null : answer.data!.dialogMessages.nodes.map(({ content }) => content.text);
    };
    const part = async (token: string) =>
      (
        await platform.query<{ dialog: { lastSequence: number; viewer: { subject: string } | null } }>(
          'query Part($id: ID!) { dialog(id: $id) { lastSequence viewer { subject } } }',
          { id },
          { token },
        )
      ).data!.dialog;
    const often = async <Answer>(ask: () => Promise<Answer>): Promise<Answer> => {
      const answers = [await ask(), await ask(), await ask()];
      expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
      return answers[0]!;
    };
    await platform.query(send, { id, text: 'one' }, { token: ann });
    expect(await often(() => read(bob))).toEqual(['one']);
    expect(await often(() => read(ann))).toEqual(['one']);
    expect(await often(() => read(outsider))).toBeNull();
    for (const [token, subject] of [
      [ann, 'ann'],
      [bob, 'bob'],
      [outsider, undefined],
    ] as const)
      expect(await often(() => part(token))).toEqual({
        lastSequence: 1,
        viewer: subject === undefined ? null : { subject },
      });
    await platform.query(send, { id, text: 'two' }, { token: ann });
    expect(await often(() => read(bob))).toEqual(['one', 'two']);
    await platform.query(send, { id, text: 'three' }, { token: bob });
    expect(await often(() => read(bob))).toEqual(['one', 'two', 'three']);
    expect((await part(ann)).lastSequence).toBe(3);
    await platform.query(
      'mutation ($id: ID!, $bobId: ID!) { removeDialogParticipant(dialogId: $id, participantId: $bobId) { userErrors { code } } }',
      { id, bobId },
      { token: ann },
    );
    expect(await read(bob)).toBeNull();
    expect(await read(ann)).toEqual(['one', 'two', 'three']);
    expect(await read(outsider)).toBeNull();
  });

  it('streams to each the attachments it may have', async () => {
    const { id } = await open();
    const { data } = await platform.query<{ dialog: { cursor: string } }>(
      'query ($id: ID!) { dialog(id: $id) { cursor } }',
      { id },
      { token: ann },
    );
    const file = { type: 'text', sizeBytes: 1, url: 'https://example.test/a' };
    const sent = await platform.query<Sent>(
      `mutation ($id: ID!, $attachments: [MessageAttachmentInput!]) {
        sendMessage(input: { dialogId: $id, content: { text: "see" }, attachments: $attachments }) { message { id sequence } userErrors { code path } }
      }`,
      {
        id,
        attachments: [
          { ...file, name: 'open' },
          { ...file, name: 'approvers', accessPermissions: ['APPROVE'] },
        ],
      },
      { token: ann },
    );
    expect(sent.data!.sendMessage.userErrors).toEqual([]);
    for (const [token, expected] of [
      [ann, ['open', 'approvers']],
      [bob, ['open']],
    ] as const) {
      const stream = subscribe<{ messageReceived: { message: { attachments: { name: string }[] } } }>({
        url: platform.url,
        query:
          'subscription ($id: ID!, $after: String) { messageReceived(dialogId: $id, after: $after) { message { attachments { name } } } }',
        variables: { id, after: data!.dialog.cursor },
        token,
      });
      await stream.until((payloads) => payloads.length === 1);
      expect(stream.payloads[0]!.messageReceived.message.attachments.map(({ name }) => name)).toEqual(expected);
      await stream.close();
    }
  });

  const follow = (id: string) =>
    subscribe<{ messageReceived: { redelivery: boolean; message: { id: string } } }>({
      url: platform.url,
      query: 'subscription ($id: ID!) { messageReceived(dialogId: $id) { redelivery message { id dialog { id } } } }',
      variables: { id },
      token: bob,
    });

  async function sendUrgent(id: string): Promise<string> {
    const sent = await platform.query<Sent>(
      'mutation ($id: ID!) { sendMessage(input: { dialogId: $id, content: { text: "now" }, priority: URGENT }) { message { id sequence } userErrors { code path } } }',
      { id },
      { token: ann },
    );
    return sent.data!.sendMessage.message!.id;
  }

  const delivered = (id: string) =>
    expect
      .poll(async () => {
        const history = await platform.query<{
          dialogMessages: { nodes: { deliveryStatus: { delivered: number; details: { status: string }[] } }[] };
        }>(
          'query ($id: ID!) { dialogMessages(dialogId: $id) { nodes { deliveryStatus { delivered details { status } } } } }',
          { id },
          { token: ann },
        );
        return history.data!.dialogMessages.nodes.at(-1)!.deliveryStatus;
      })
      .toEqual({ delivered: 1, details: [{ status: 'DELIVERED' }] });

  it('counts an urgent message as delivered that a stream of its recipient has taken', async () => {
    const { id } = await open();
    const stream = follow(id);
    // Until it is there, what is said passes it by.
    for (let said = 1; stream.payloads.length === 0 && said < 50; said += 1) {
      await platform.query(send, { id, text: 'anyone?' }, { token: ann });
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const messageId = await sendUrgent(id);
    await stream.until((payloads) => payloads.some((payload) => payload.messageReceived.message.id === messageId));
    await delivered(id);
    expect(stream.payloads.filter((payload) => payload.messageReceived.redelivery)).toEqual([]);
    await stream.close();
  });

  // What passes by crosses processes by Redis alone, which these have not.
  const itOnOne = mode === 'one process' ? it : () => {};
  itOnOne('brings an urgent message once to a stream that began behind it', async () => {
    const { id } = await open();
    const messageId = await sendUrgent(id);
    const first = follow(id);
    await first.until((payloads) => payloads.length === 1);
    expect(first.payloads).toMatchObject([{ messageReceived: { redelivery: true, message: { id: messageId } } }]);
    await delivered(id);
    // Delivered: a stream that begins now is not brought it any more, and what comes next is told from it.
    const second = follow(id);
    await new Promise((resolve) => setTimeout(resolve, 400));
    await platform.query(send, { id, text: 'next' }, { token: ann });
    await Promise.all([
      first.until((payloads) => payloads.length === 2),
      second.until((payloads) => payloads.length > 0),
    ]);
    expect(second.payloads).toMatchObject([{ messageReceived: { redelivery: false } }]);
    expect(first.payloads[1]).toMatchObject({ messageReceived: { redelivery: false } });
    await Promise.all([first.close(), second.close()]);
  });

  it('refuses text that cannot be kept, and stores nothing of it', async () => {
    const { id } = await open();
    for (const [text, code] of [
      ['a\u0000b', 'VALIDATION_FAILED'],
      ['\ud83d alone', 'VALIDATION_FAILED'],
      ['x'.repeat(262_145), 'MESSAGE_TOO_LARGE'],
    ] as const) {
      const answer = await platform.query<Sent>(send, { id, text }, { token: ann });
      expect(answer.data!.sendMessage.userErrors.map((error) => error.code)).toEqual([code]);
    }
    const unknown = await platform.query<Sent>(send, { id: crypto.randomUUID(), text: 'hi' }, { token: ann });
    expect(unknown.data!.sendMessage.userErrors.map((error) => error.code)).toEqual(['NOT_FOUND']);
    const history = await platform.query(
      'query ($id: ID!) { dialog(id: $id) { messages { totalCount } } }',
      { id },
      { token: ann },
    );
    expect(history.data).toEqual({ dialog: { messages: { totalCount: 0 } } });
  });
});
