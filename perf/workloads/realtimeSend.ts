import { randomUUID } from 'node:crypto';
import { type CreateWorkload, readPath, type Verdict, withoutUserErrors } from '../load/workload.ts';
import { type DialogSeed, dialogId, domainOf, messageText, subjectAt } from '../seeds/dialog.ts';

export interface RealtimeSendParams {
  readonly seed: DialogSeed;
  readonly tokens: readonly string[];
}

const sendMessage = `mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) { message { id sequence } userErrors { code message } }
}`;

/** Name of the fact that holds the last sequence of a dialog. */
export const lastSequenceFact = (dialog: number): string => `lastSequence:${dialog}`;

/** One agent of each dialog writes; the dialogs take turns, so that each gets its share exactly. */
export const createWorkload: CreateWorkload<RealtimeSendParams> = ({ seed, tokens }) => {
  const headers = Array.from({ length: seed.dialogs }, (_, dialog) => ({
    authorization: `Bearer ${tokens[subjectAt(dialog, 0, seed.subjects)]!}`,
  }));
  const last = new Map<string, number>();
  let turn = 0;
  return {
    operations: [
      {
        name: 'send_message',
        weight: 1,
        next(random) {
          const dialog = turn++ % seed.dialogs;
          const input = {
            dialogId: dialogId(dialog),
            clientMessageId: randomUUID(),
            content: { text: messageText(random, domainOf(dialog)) },
          };
          return {
            query: sendMessage,
            variables: { input },
            headers: headers[dialog]!,
            check(response): Verdict {
              const clean = withoutUserErrors(response, 'sendMessage');
              if (clean !== true) return clean;
              const sequence = Number(readPath(response.data, 'sendMessage', 'message', 'sequence'));
              const fact = lastSequenceFact(dialog);
              last.set(fact, Math.max(last.get(fact) ?? 0, sequence));
              return true;
            },
            acknowledges: (response) => String(readPath(response.data, 'sendMessage', 'message', 'id')),
          };
        },
      },
    ],
    facts: () => Object.fromEntries(last),
  };
};
