import { randomUUID } from 'node:crypto';
import { createBatcher } from '#shared/batch.ts';
import { createSql } from '#shared/sql.ts';
import type { MessageRow } from '../../subgraphs/dialog/rows.ts';
import { insertMessages } from '../../subgraphs/dialog/store/messages.ts';
import { createZipf } from '../load/sampler.ts';
import type { CreateWorkload, Verdict } from '../load/workload.ts';
import { perfTenant } from '../seeds/context.ts';
import {
  type DialogSeed,
  dialogId,
  domainOf,
  messageCounts,
  messageText,
  participantId,
  subjectName,
} from '../seeds/dialog.ts';

export interface DatabaseWritesParams {
  readonly databaseUrl: string;
  readonly dialogs: DialogSeed;
  /** Rows that share a transaction at most. */
  readonly group: number;
}

/** What this workload's rows carry, to be counted afterwards. */
export const writtenTopic = 'measured write';
const transactions = 4;

/** Messages by the module's own statement; callers that come at the same time share a transaction, as senders do. */
export const createWorkload: CreateWorkload<DatabaseWritesParams> = ({ databaseUrl, dialogs, group }) => {
  const sql = createSql(databaseUrl, { applicationName: 'perf-writes', max: transactions });
  const zipf = createZipf(dialogs.dialogs);
  const sequences = messageCounts(dialogs.dialogs, dialogs.messages).slice();
  const facts = { acknowledged: 0, transactions: 0 };
  const writer = createBatcher<MessageRow, true>({
    maxItems: group,
    maxDelayMs: 0,
    maxRuns: transactions,
    async run(rows) {
      await sql.begin((tx) => insertMessages(tx, rows));
      facts.transactions += 1;
      return rows.map(() => true as const);
    },
  });

  return {
    operations: [
      {
        name: 'insert_message',
        weight: 1,
        async call(random): Promise<Verdict> {
          const dialog = zipf.sample(random);
          sequences[dialog]! += 1;
          const isDone = await writer.add({
            tenantId: perfTenant,
            id: randomUUID(),
            dialogId: dialogId(dialog),
            threadId: null,
            sequence: sequences[dialog]!,
            senderId: participantId(dialog, 0),
            senderSubject: subjectName(0),
            senderType: 'AGENT',
            role: 'agent',
            type: 'TEXT',
            text: messageText(random, domainOf(dialog)),
            structuredData: null,
            mentions: [],
            hashtags: [],
            language: null,
            replyTo: null,
            topic: writtenTopic,
            priority: 'NORMAL',
            requiresResponse: false,
            responseDeadline: null,
            recipients: null,
            recipientCount: dialogs.participantsPerDialog - 1,
            attachments: [],
            reactions: [],
            aiProcessing: null,
            clientMessageId: null,
            protocol: null,
            revision: 1,
            createdAt: new Date().toISOString(),
            editedAt: null,
            deletedAt: null,
            deletedBy: null,
          });
          facts.acknowledged += 1;
          return isDone;
        },
      },
    ],
    facts: () => facts,
    async close() {
      await writer.drain();
      await sql.end({ timeout: 5 });
    },
  };
};
