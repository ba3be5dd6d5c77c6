import { randomUUID } from 'node:crypto';
import type { Random } from '../load/random.ts';
import { createZipf } from '../load/sampler.ts';
import {
  type CreateWorkload,
  type RequestOperation,
  readPath,
  type Verdict,
  withoutUserErrors,
} from '../load/workload.ts';
import {
  type DialogSeed,
  dialogId,
  domainOf,
  messageCounts,
  messageId,
  messageText,
  readUpto,
  subjectAt,
} from '../seeds/dialog.ts';
import { containsWord, searchWords } from '../seeds/words.ts';

export interface DialogParams {
  readonly seed: DialogSeed;
  /** Bearer token of each agent, by its number. */
  readonly tokens: readonly string[];
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
  /** Another run was here before: cursors stand further on than they were seeded, and do not move back. */
  readonly resumed?: boolean;
}

const receiveMessage = `query Inbox($id: ID!, $after: Int) {
  dialogInbox(dialogId: $id, after: $after, limit: 50) {
    messages { id sequence senderId senderSubject type content { text } replyToMessageId priority sentAt }
    nextCursor hasMore gapDetected unread
  }
}`;
const dialogHistory = `query History($id: ID!, $upTo: Int!) {
  dialogMessages(dialogId: $id, filter: { toSequence: $upTo }, last: 50) {
    edges { cursor node { id sequence senderId senderSubject type content { text } reactions { type participantId } sentAt editedAt deletedAt } }
    pageInfo { hasPreviousPage startCursor }
  }
}`;
const getDialog = `query GetDialog($id: ID!) {
  dialog(id: $id) {
    id name status type tags contextId participantCount messageCount lastSequence lastMessageAt
    viewer { participantId role status }
  }
}`;
const sendMessage = `mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) { message { id sequence sentAt } duplicate userErrors { code message } }
}`;
const ackMessages = `mutation Ack($id: ID!, $upTo: Int!) {
  ackMessages(dialogId: $id, upToSequence: $upTo) { newCursor unread userErrors { code message } }
}`;
const searchMessages = `query Search($query: String!, $filter: MessageSearchFilter) {
  searchMessages(query: $query, filter: $filter, first: 20) {
    totalCount edges { score node { id dialogId sequence senderSubject content { text } sentAt } }
  }
}`;
const reactToMessage = `mutation React($id: ID!, $type: String!) {
  reactToMessage(messageId: $id, type: $type) { message { id reactions { type participantId } } userErrors { code message } }
}`;

const historyPage = 50;
const searchPage = 20;

/** One in so many searches goes over all dialogs of the caller; the others look through the dialog that is open. */
const searchAllEvery = 4;

interface SequencedMessage {
  readonly id: string;
  readonly sequence: number;
}

/** True, or where the sequences break. */
function isRun(messages: readonly SequencedMessage[], first: number): Verdict {
  for (const [index, { sequence }] of messages.entries()) {
    if (sequence !== first + index) return `expected sequence ${first + index}, got ${sequence}`;
  }
  return true;
}

/**
 * Agents that poll their inboxes, read and search histories and write, by Zipf over the dialogs. Every answer is held
 * against what was acknowledged before its request went out.
 */
export const createWorkload: CreateWorkload<DialogParams> = ({ seed, tokens, mix, resumed }) => {
  const { dialogs, participantsPerDialog: places, subjects } = seed;
  const zipf = createZipf(dialogs);
  const words = createZipf(searchWords.length);
  const headers = tokens.map((token) => ({ authorization: `Bearer ${token}` }));
  const counts = messageCounts(dialogs, seed.messages);
  const lastSequence = Uint32Array.from(counts);
  const slot = (dialog: number, place: number): number => dialog * places + place;
  const readTo = Uint32Array.from({ length: dialogs * places }, (_, index) => {
    const dialog = Math.floor(index / places);
    return readUpto(dialog, index % places, counts[dialog]!);
  });
  const received = Uint32Array.from(readTo);
  const acknowledging = new Uint8Array(dialogs * places);
  const facts = { received: 0, polls: 0, searches: 0, matches: 0 };

  function pick(random: Random) {
    const dialog = zipf.sample(random);
    const place = random.integer(places);
    return { dialog, place, id: dialogId(dialog), headers: headers[subjectAt(dialog, place, subjects)]! };
  }

  const operations: Record<string, RequestOperation['next']> = {
    receive_message(random) {
      const { dialog, place, id, headers } = pick(random);
      const at = slot(dialog, place);
      const after = received[at]!;
      const least = lastSequence[dialog]!;
      return {
        query: receiveMessage,
        variables: { id, after },
        headers,
        check(response): Verdict {
          const inbox = readPath(response.data, 'dialogInbox') as {
            messages: SequencedMessage[];
            nextCursor: number;
            hasMore: boolean;
            gapDetected: boolean;
          };
          const { messages, nextCursor, hasMore, gapDetected } = inbox;
          facts.polls += 1;
          facts.received += messages.length;
          const run = isRun(messages, after + 1);
          if (run !== true) return run;
          if (gapDetected) return 'a gap was reported where nothing is missing';
          if (nextCursor !== after + messages.length)
            return `expected the cursor ${after + messages.length}, got ${nextCursor}`;
          if (!hasMore && nextCursor < least) return `expected messages up to ${least}, got up to ${nextCursor}`;
          if (nextCursor > received[at]!) received[at] = nextCursor;
          return true;
        },
      };
    },

    dialog_history(random) {
      const { dialog, id, headers } = pick(random);
      const upTo = 1 + random.integer(lastSequence[dialog]!);
      return {
        query: dialogHistory,
        variables: { id, upTo },
        headers,
        check(response): Verdict {
          const edges = readPath(response.data, 'dialogMessages', 'edges') as { node: SequencedMessage }[];
          const size = Math.min(historyPage, upTo);
          if (edges.length !== size) return `expected ${size} messages up to ${upTo}, got ${edges.length}`;
          return isRun(
            edges.map((edge) => edge.node),
            upTo - size + 1,
          );
        },
      };
    },

    get_dialog(random) {
      const { dialog, id, headers } = pick(random);
      const least = lastSequence[dialog]!;
      return {
        query: getDialog,
        variables: { id },
        headers,
        check(response): Verdict {
          const found = readPath(response.data, 'dialog') as {
            id: string;
            lastSequence: number;
            participantCount: number;
            viewer: unknown;
          } | null;
          if (found?.id !== id || found.participantCount !== places || !found.viewer)
            return `expected dialog ${id}, got ${JSON.stringify(found)}`;
          return found.lastSequence >= least || `expected lastSequence ${least} or later, got ${found.lastSequence}`;
        },
      };
    },

    send_message(random) {
      const { dialog, id, headers } = pick(random);
      const least = lastSequence[dialog]!;
      const text = messageText(random, domainOf(dialog));
      return {
        query: sendMessage,
        variables: { input: { dialogId: id, clientMessageId: randomUUID(), content: { text } } },
        headers,
        check(response): Verdict {
          const clean = withoutUserErrors(response, 'sendMessage');
          if (clean !== true) return clean;
          const { sequence } = readPath(response.data, 'sendMessage', 'message') as SequencedMessage;
          if (readPath(response.data, 'sendMessage', 'duplicate') !== false)
            return 'a new message is called a duplicate';
          if (sequence <= least) return `expected a sequence over ${least}, got ${sequence}`;
          if (sequence > lastSequence[dialog]!) lastSequence[dialog] = sequence;
          return true;
        },
      };
    },

    ack_messages(random) {
      // An agent acknowledges what it has received and waits for the answer before it does so again.
      let picked = pick(random);
      const isDue = ({ dialog, place }: typeof picked): boolean => {
        const at = slot(dialog, place);
        return acknowledging[at] === 0 && received[at]! > readTo[at]!;
      };
      for (let attempt = 0; attempt < 50 && !isDue(picked); attempt += 1) picked = pick(random);
      while (acknowledging[slot(picked.dialog, picked.place)] === 1) picked = pick(random);
      const { dialog, place, id, headers } = picked;
      const at = slot(dialog, place);
      const upTo = received[at]!;
      acknowledging[at] = 1;
      return {
        query: ackMessages,
        variables: { id, upTo },
        headers,
        check(response): Verdict {
          acknowledging[at] = 0;
          if (resumed && readPath(response.data, 'ackMessages', 'userErrors', 0, 'code') === 'CURSOR_REGRESSION')
            return true;
          const clean = withoutUserErrors(response, 'ackMessages');
          if (clean !== true) return clean;
          readTo[at] = upTo;
          return readPath(response.data, 'ackMessages', 'newCursor') === upTo || `expected the cursor ${upTo}`;
        },
      };
    },

    search_messages(random) {
      const { id, headers } = pick(random);
      const query = searchWords[words.sample(random)]!;
      const inDialog = random.integer(searchAllEvery) !== 0;
      return {
        query: searchMessages,
        variables: { query, filter: inDialog ? { dialogId: id } : {} },
        headers,
        check(response): Verdict {
          const page = readPath(response.data, 'searchMessages');
          const total = Number(readPath(page, 'totalCount'));
          const edges = readPath(page, 'edges') as {
            score: number;
            node: { dialogId: string; content: { text: string } };
          }[];
          facts.searches += 1;
          facts.matches += total;
          if (edges.length !== Math.min(searchPage, total))
            return `expected ${Math.min(searchPage, total)} of ${total}, got ${edges.length}`;
          for (const { node } of edges) {
            if (inDialog && node.dialogId !== id) return `a message of dialog ${node.dialogId} came`;
            if (!containsWord(node.content.text, query))
              return `expected "${query}" in "${node.content.text.slice(0, 200)}"`;
          }
          return true;
        },
      };
    },

    react_to_message(random) {
      const { dialog, headers } = pick(random);
      const id = messageId(dialog, Math.max(1, counts[dialog]! - random.integer(50)));
      const type = random.pick(['agree', 'seen', 'thanks', 'question']);
      return {
        query: reactToMessage,
        variables: { id, type },
        headers,
        check(response): Verdict {
          const clean = withoutUserErrors(response, 'reactToMessage');
          if (clean !== true) return clean;
          const message = readPath(response.data, 'reactToMessage', 'message') as {
            id: string;
            reactions: { type: string }[];
          };
          return (
            (message.id === id && message.reactions.some((reaction) => reaction.type === type)) ||
            'the reaction is not there'
          );
        },
      };
    },
  };

  return {
    operations: Object.entries(mix).map(([name, weight]): RequestOperation => {
      const next = operations[name];
      if (!next) throw new Error(`the dialog mix has no operation ${name}`);
      return { name, weight, next };
    }),
    facts: () => facts,
  };
};
