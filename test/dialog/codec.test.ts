import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { sameDocument, validateProtocolObject } from '../../schema/protocol/index.ts';
import { dialogCodec } from '../../subgraphs/dialog/codec.ts';
import { sampleObjects } from '../conformance/sample/objects.ts';
import { codesOf, type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada', { subjectType: 'human' });
const reference = join(process.cwd(), '..', 'shared', 'conformance', 'schemas', 'v2', 'examples');

beforeAll(async () => {
  rig = await openDialogRig();
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

async function roundTrip(document: Record<string, unknown>): Promise<unknown> {
  await rig.sql.begin(async (tx) => appendChange(tx, 'dialog', await dialogCodec.write(tx, ada, [document])));
  const id = String(document['dialog_id']);
  return (await dialogCodec.read(rig.sql, 'one', [id])).get(id);
}

const message = (role: string, content: string, timestamp: string, more: object = {}) => ({
  role,
  content,
  timestamp,
  ...more,
});
const meta = { protocol_version: '1.0.0', schema_version: '1.0.0' };

describe('frozen dialogs', () => {
  it('come back to the letter', async () => {
    const documents: Record<string, unknown>[] = [
      { ...sampleObjects.dialog, dialog_id: newId() },
      { meta, dialog_id: newId(), context_id: newId(), status: 'active', messages: [] },
      {
        meta,
        dialog_id: newId(),
        context_id: newId(),
        thread_id: newId(),
        status: 'completed',
        started_at: '2016-12-31T23:59:60Z',
        ended_at: '2024-01-01t00:00:00.123456789z',
        messages: [
          message('system', 'rules', '2025-01-01T00:00:05.5Z'),
          message('user', 'é\u{1F600}\n"quoted"', '2025-01-01T00:00:05.50Z', {
            event: {
              event_id: newId(),
              event_type: 'a.b',
              source: 's',
              timestamp: '2025-01-01T00:00:00-00:00',
              data: JSON.parse('{"__proto__": {"a": 1}, "constructor": null, "n": 1e300, "z": 0.1}'),
            },
          }),
          // Out of order in time, as given.
          message('assistant', '', '1970-01-01T00:00:00Z'),
          message('agent', 'same', '2025-01-01T00:00:05Z', {
            event: { event_id: newId(), event_type: 'x', source: '', timestamp: '2025-01-01T00:00:00Z', data: null },
          }),
        ],
        trace: { trace_id: newId(), span_id: newId(), attributes: JSON.parse('{"__proto__": 5}') },
        events: [],
      },
    ];
    for (const document of documents) {
      expect(validateProtocolObject('dialog', document)).toEqual([]);
      const back = await roundTrip(document);
      expect(sameDocument(back, document)).toBe(true);
      // Key order of free JSON aside, the text is the same too.
      expect(JSON.stringify(back).length).toBe(JSON.stringify(document).length);
    }
  });

  it('of the reference data too', async () => {
    expect(existsSync(reference), `the reference data is absent: ${reference}`).toBe(true);
    const files = readdirSync(reference).filter((file) => file.includes('dialog'));
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      const { $comment: _comment, ...document } = JSON.parse(readFileSync(join(reference, file), 'utf8')) as Record<
        string,
        unknown
      >;
      expect(validateProtocolObject('dialog', document)).toEqual([]);
      const fresh = { ...document, dialog_id: newId() };
      expect(sameDocument(await roundTrip(fresh), fresh)).toBe(true);
    }
  });

  it('are listed by context in import order and refused twice', async () => {
    const contextId = newId();
    const ids = [newId(), newId(), newId()];
    for (const dialog_id of ids)
      await roundTrip({ meta, dialog_id, context_id: contextId, status: 'active', messages: [] });
    expect(await dialogCodec.idsOfContext(rig.sql, 'one', contextId)).toEqual(ids);
    expect(await dialogCodec.idsOfContext(rig.sql, 'two', contextId)).toEqual([]);
    expect((await dialogCodec.read(rig.sql, 'two', ids)).size).toBe(0);
    await expect(
      roundTrip({ meta, dialog_id: ids[0], context_id: contextId, status: 'active', messages: [] }),
    ).rejects.toThrow('another import');
  });

  it('can be carried on by who imported them', async () => {
    const id = newId();
    await roundTrip({
      meta,
      dialog_id: id,
      context_id: newId(),
      status: 'active',
      messages: [message('user', 'from afar', '2020-01-01T00:00:00Z')],
    });
    const sent = await rig.send(ada, id, 'and on');
    expect(codesOf(sent)).toEqual([]);
    expect(sent['message']!['sequence']).toBe(2);
    const data = await rig.ask(
      ada,
      'query ($id: ID!) { dialog(id: $id) { messages { nodes { sequence role content { text } } } document } }',
      { id },
    );
    expect(data['dialog']!['messages']!['nodes']).toEqual([
      { sequence: 1, role: 'USER', content: { text: 'from afar' } },
      { sequence: 2, role: 'USER', content: { text: 'and on' } },
    ]);
    expect(validateProtocolObject('dialog', data['dialog']!['document'])).toEqual([]);
  });
});

describe('native dialogs', () => {
  it('export as valid frozen documents', async () => {
    const { id } = await rig.createDialog(ada, {
      participants: [{ subject: 'bot' }],
      threadId: newId(),
      governance: { lifecyclePhase: 'talk' },
    });
    const bot = principal('bot');
    await rig.send(ada, id, 'hello');
    await rig.send(bot, id, 'hi');
    await rig.send(bot, id, '', { content: { structuredData: { a: [1, 2] } }, type: 'STRUCTURED' });
    const doomed = String((await rig.send(bot, id, 'gone'))['message']!['id']);
    await rig.mutate(bot, 'deleteMessage', '$messageId: ID!', { messageId: doomed }, 'message { id }');
    await rig.mutate(ada, 'endDialog', '$dialogId: ID!', { dialogId: id }, 'dialog { status }');
    const document = (await dialogCodec.read(rig.sql, 'one', [id])).get(id)!;
    expect(validateProtocolObject('dialog', document)).toEqual([]);
    expect(document).toMatchObject({
      status: 'completed',
      governance: { lifecyclePhase: 'talk' },
      messages: [
        { role: 'user', content: 'hello' },
        { role: 'assistant', content: 'hi' },
        { role: 'agent', content: '{"a": [1, 2]}'.replaceAll(' ', '') },
        { role: 'agent', content: '' },
      ],
    });
    const data = await rig.ask(ada, 'query ($id: ID!) { dialog(id: $id) { document } }', { id });
    expect(sameDocument(data['dialog']!['document'], JSON.parse(JSON.stringify(document)))).toBe(true);
  });
});
