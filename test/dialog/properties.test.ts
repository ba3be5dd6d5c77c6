import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { createMemberGate, judgeMessage } from '../../subgraphs/dialog/gate.ts';
import { defaultConfiguration } from '../../subgraphs/dialog/inputs.ts';
import type { DialogParticipantRow, DialogRow, MessageRow, Span } from '../../subgraphs/dialog/rows.ts';
import { holderOf } from '../../subgraphs/dialog/turns.ts';
import { closeSpan, inSpans, openSpan, viewOf } from '../../subgraphs/dialog/visibility.ts';
import { codesOf, type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada');

beforeAll(async () => {
  rig = await openDialogRig({ QUOTA_MESSAGES_PER_MINUTE: '100000', BATCH_MAX_ITEMS: '17' });
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

describe('concurrent sends', () => {
  it('number every dialog without gap, once each, in the stream’s order, whatever fails between them', async () => {
    const senders = Array.from({ length: 6 }, (_, n) => principal(`s${n}`));
    const item = fc.record({
      dialog: fc.integer({ min: 0, max: 2 }),
      sender: fc.integer({ min: 0, max: 5 }),
      // Few ids, so that repeats and clashes are common.
      clientMessageId: fc.option(fc.integer({ min: 0, max: 5 }), { nil: null }),
      text: fc.constantFrom('alpha', 'beta'),
      bad: fc.constantFrom('no', 'no', 'no', 'reply', 'recipient'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(item, { minLength: 1, maxLength: 80 }), async (items) => {
        const dialogs = await Promise.all(
          [0, 1, 2].map(() => rig.createDialog(ada, { participants: senders.map(({ subject }) => ({ subject })) })),
        );
        const answers = await Promise.all(
          items.map(({ dialog, sender, clientMessageId, text, bad }) =>
            rig.send(senders[sender]!, dialogs[dialog]!.id, text, {
              ...(clientMessageId === null ? {} : { clientMessageId: `c${clientMessageId}` }),
              ...(bad === 'reply' ? { replyTo: newId() } : bad === 'recipient' ? { recipients: [newId()] } : {}),
            }),
          ),
        );
        const firstContent = new Map<string, string>();
        for (const [index, answer] of answers.entries()) {
          const { dialog, sender, clientMessageId, text, bad } = items[index]!;
          const key = `${dialog}/${sender}/${clientMessageId}`;
          const [code] = codesOf(answer);
          if (code !== undefined) {
            expect(['REPLY_TARGET_INVALID', 'PARTICIPANT_NOT_FOUND', 'DUPLICATE_MESSAGE']).toContain(code);
            if (code !== 'DUPLICATE_MESSAGE') expect(bad).not.toBe('no');
            continue;
          }
          if (clientMessageId === null) expect(answer['duplicate']).toBe(false);
          else {
            expect(firstContent.get(key) ?? text).toBe(text);
            firstContent.set(key, text);
          }
        }
        for (const [index, { id }] of dialogs.entries()) {
          const acknowledged = new Map(
            answers.flatMap((answer, at) =>
              items[at]!.dialog === index && answer['message']
                ? [[String(answer['message']['id']), Number(answer['message']['sequence'])] as const]
                : [],
            ),
          );
          const rows = await rig.sql<
            { id: string; sequence: number }[]
          >`SELECT id, sequence FROM dialog.message WHERE tenant_id = 'one' AND dialog_id = ${id} ORDER BY sequence`;
          expect(rows.map((row) => row.sequence)).toEqual(Array.from({ length: rows.length }, (_, n) => n + 1));
          expect(new Map(rows.map((row) => [row.id, row.sequence]))).toEqual(acknowledged);
          const stream = await rig.stream(id);
          expect(stream.map((event) => event.sequence)).toEqual(Array.from({ length: stream.length }, (_, n) => n + 1));
          expect(
            stream.flatMap((event) =>
              event.type === 'dialog.message.sent' ? [(event.data['message'] as MessageRow).sequence] : [],
            ),
          ).toEqual(rows.map((row) => row.sequence));
          const [state] =
            await rig.sql`SELECT last_sequence, message_count FROM dialog.dialog_state WHERE dialog_id = ${id}`;
          expect(state).toMatchObject({ last_sequence: rows.length, message_count: rows.length });
        }
      }),
      { numRuns: 12 },
    );
  });
});

describe('read cursors', () => {
  it('move forward only, however acknowledgements race', async () => {
    const { id } = await rig.createDialog(ada, { participants: [{ subject: 'bot' }] });
    const bot = principal('bot');
    for (let n = 0; n < 10; n += 1) await rig.send(ada, id, `m${n}`);
    let least = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 10 }), async (targets) => {
        const answers = await Promise.all(
          targets.map((upToSequence) =>
            rig.mutate(
              bot,
              'ackMessages',
              '$dialogId: ID!, $upToSequence: Int!',
              { dialogId: id, upToSequence },
              'newCursor',
            ),
          ),
        );
        const [row] = await rig.sql<
          { read: number; delivered: number }[]
        >`SELECT read_upto AS read, delivered_upto AS delivered FROM dialog.participant_cursor c JOIN dialog.participant p ON p.id = c.participant_id WHERE p.subject = 'bot' AND c.dialog_id = ${id}`;
        for (const [index, answer] of answers.entries()) {
          const target = targets[index]!;
          const [code] = codesOf(answer);
          if (target > 10) expect(code).toBe('VALIDATION_FAILED');
          else if (target < least) expect(code).toBe('CURSOR_REGRESSION');
          else
            expect(code === undefined ? answer['newCursor'] : code).toBe(
              code === undefined ? target : 'CURSOR_REGRESSION',
            );
        }
        const best = Math.max(least, ...targets.filter((target) => target <= 10));
        expect(row).toEqual({ read: best, delivered: best });
        least = best;
      }),
      { numRuns: 25 },
    );
    const receipts = (await rig.stream(id))
      .filter((event) => event.type === 'dialog.receipt.read')
      .map((event) => (event.data['receipt'] as { readUpto: number }).readUpto);
    expect(receipts).toEqual([...new Set(receipts)].sort((a, b) => a - b));
  });
});

describe('the gate', () => {
  const me = 'me';
  const myId = newId();
  const otherId = newId();
  const dialog = { configuration: defaultConfiguration, createdBy: 'ada' } as unknown as DialogRow;
  const step = fc.constantFrom('say', 'whisper to me', 'whisper to other', 'join', 'leave', 'remove', 'delete last');

  /** Plays a history of one member and answers its events with what the member may see of each, by the plain rule. */
  function play(steps: readonly string[]) {
    const events: { event: EventRow; visible: boolean }[] = [];
    let participant = {
      id: myId,
      subject: me,
      status: 'LEFT',
      permissions: ['READ', 'WRITE'],
      spans: [] as readonly Span[],
      version: 1,
    };
    const said: {
      id: string;
      visible: boolean;
      sequence: number;
      recipients: string[] | null;
      deletedAt: string | null;
    }[] = [];
    const push = (type: string, data: Record<string, unknown>, visible: boolean) =>
      events.push({
        visible,
        event: {
          tenantId: 'one',
          module: 'dialog',
          streamId: 's',
          sequence: events.length + 1,
          eventId: newId(),
          type,
          actor: 'a',
          data,
          tags: [],
          createdAt: new Date().toISOString(),
        },
      });
    for (const kind of steps) {
      const active = participant.status === 'ACTIVE';
      if (kind === 'join' && !active) {
        participant = {
          ...participant,
          status: 'ACTIVE',
          spans: openSpan(participant.spans, said.length),
          version: participant.version + 1,
        };
        push('dialog.participant.joined', { participant }, false);
      } else if ((kind === 'leave' || kind === 'remove') && active) {
        participant = {
          ...participant,
          status: kind === 'leave' ? 'LEFT' : 'REMOVED',
          spans: closeSpan(participant.spans, said.length),
          version: participant.version + 1,
        };
        push(`dialog.participant.${kind === 'leave' ? 'left' : 'removed'}`, { participant }, false);
      } else if (kind === 'delete last') {
        const last = said.at(-1);
        if (!last || last.deletedAt) continue;
        last.deletedAt = 'now';
        push('dialog.message.deleted', { message: { ...last, senderId: otherId } }, last.visible);
      } else if (kind === 'say' || kind.startsWith('whisper')) {
        const recipients = kind === 'say' ? null : [kind === 'whisper to me' ? myId : newId()];
        const message = {
          id: newId(),
          sequence: said.length + 1,
          recipients,
          deletedAt: null,
          visible: active && (recipients === null || recipients[0] === myId),
        };
        said.push(message);
        push('dialog.message.sent', { message: { ...message, senderId: otherId } }, message.visible);
      }
    }
    return { events, participant: participant as unknown as DialogParticipantRow, said };
  }

  it('lets through exactly what the member was there for and addressed by, live and in replay, and ends at its going', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.nat({ max: 30 }), fc.nat({ max: 30 }), (steps, cut, from) => {
        const whole = play(steps);
        // Admitted after `cut` steps, replaying from `from`; the rest comes live.
        const admitted = play(steps.slice(0, cut));
        const principalOfMe = principal(me);
        const view =
          admitted.participant.status === 'ACTIVE' ? viewOf(dialog, principalOfMe, admitted.participant) : null;
        if (view === null) return;
        const deleted = new Set(
          admitted.said
            .filter((message) => message.deletedAt)
            .map((message, _index) => whole.said[message.sequence - 1]!.id),
        );
        const gate = createMemberGate({ principal: principalOfMe, dialog, participant: admitted.participant }, view, {
          deleted,
          judge: judgeMessage,
        });
        const gone = whole.events.findIndex(
          ({ event }, index) => index >= admitted.events.length && /left|removed/.test(event.type),
        );
        for (const [index, { event, visible }] of whole.events.entries()) {
          if (index < Math.min(from, admitted.events.length)) continue;
          const decision = gate.decide(event);
          if (index === gone) {
            expect(decision).toBe('end');
            return;
          }
          if (!event.type.startsWith('dialog.message.')) expect(decision).not.toBe('end');
          else {
            const erased =
              event.type === 'dialog.message.sent' && deleted.has((event.data['message'] as MessageRow).id);
            expect(decision).toBe(visible && !erased ? 'deliver' : 'skip');
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('keeps spans disjoint, in order, and true to who was there', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('join', 'leave', 'say'), { maxLength: 60 }), (steps) => {
        let spans: readonly Span[] = [];
        let here = false;
        let last = 0;
        const heard = new Map<number, boolean>();
        for (const kind of steps) {
          if (kind === 'say') heard.set(++last, here);
          else if (kind === 'join' && !here) [spans, here] = [openSpan(spans, last), true];
          else if (kind === 'leave' && here) [spans, here] = [closeSpan(spans, last), false];
        }
        for (const [sequence, expected] of heard) expect(inSpans(spans, sequence)).toBe(expected);
      }),
    );
  });
});

describe('turns', () => {
  it('a round always has a holder among its order, and time passes it on in order', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 6 }),
        fc.nat(),
        fc.nat({ max: 100 }),
        (order, at, passed) => {
          const current = order[at % order.length]!;
          const state = { currentTurn: current, turnStartedAt: new Date(0).toISOString() };
          const configuration = { turnMode: 'ROUND_ROBIN', turnDurationMs: 1_000, allowInterruptions: false } as const;
          expect(holderOf({ configuration, order, state, nowMs: passed * 1_000 })).toBe(
            order[((at % order.length) + passed) % order.length],
          );
        },
      ),
    );
  });
});
