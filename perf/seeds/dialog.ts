import { maintainPartitions } from '#shared/partitions.ts';
import type { Sql } from '#shared/sql.ts';
import { defaultConfiguration } from '../../subgraphs/dialog/inputs.ts';
import { rolePermissions } from '../../subgraphs/dialog/rights.ts';
import { createRandom, type Random } from '../load/random.ts';
import { contextId, perfTenant } from './context.ts';
import { copyRows, withoutIndexes } from './copyRows.ts';
import { seedId } from './seedId.ts';
import { pickDomain, sentence } from './words.ts';

export interface DialogSeed {
  /** Contexts that are there already; dialogs lie in them in turn. */
  readonly contexts: number;
  readonly dialogs: number;
  readonly participantsPerDialog: number;
  /** Different agents; each takes part in its share of the dialogs. */
  readonly subjects: number;
  readonly messages: number;
}

const dayMs = 86_400_000;
const historyDays = 60;
/** Messages at most that a participant has not acknowledged. */
const maxUnread = 15;
/** Share of messages falls with the rank of the dialog: of a million in 10,000 dialogs the hottest hold 10,000. */
const messageExponent = 0.6;

export const dialogId = (dialog: number): string => seedId('dialog', dialog);
export const messageId = (dialog: number, sequence: number): string => seedId('message', dialog, sequence);
export const participantId = (dialog: number, place: number): string => seedId('dialogParticipant', dialog, place);
export const domainOf = (dialog: number): string => pickDomain(createRandom(dialog + 1));
/** Number of the agent at a place of a dialog; the places of one dialog are different agents. */
export const subjectAt = (dialog: number, place: number, subjects: number): number =>
  (dialog * 7 + place * 101) % subjects;
export const subjectName = (subject: number): string => `agent-${subject}`;
/** First sequence a participant has not acknowledged, less one. */
export const readUpto = (dialog: number, place: number, messages: number): number =>
  Math.max(0, messages - ((dialog * 31 + place * 17) % (maxUnread + 1)));

/** Messages of each dialog by rank; at least one. */
export function messageCounts(dialogs: number, messages: number): Uint32Array {
  const weights = Float64Array.from({ length: dialogs }, (_, rank) => (rank + 1) ** -messageExponent);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Uint32Array.from(weights, (weight) => Math.max(1, Math.floor((messages * weight) / total)));
}

/** A text of 20 to 2,000 characters, 200 on average. */
export function messageText(random: Random, domain: string): string {
  const words = Math.min(280, 5 + Math.floor(random.exponential(25)));
  return sentence(random, domain, words).slice(0, 2_000);
}

function* dialogRows(seed: DialogSeed, nowMs: number) {
  const configuration = {
    ...defaultConfiguration,
    maxParticipants: 1_000,
    showHistory: true,
    messageRetentionDays: 365,
  };
  const at = new Date(nowMs - historyDays * dayMs);
  for (let dialog = 0; dialog < seed.dialogs; dialog += 1) {
    const domain = domainOf(dialog);
    const creator = subjectName(subjectAt(dialog, 0, seed.subjects));
    // Without a next check: a dialog that idles away would pause in the middle of a run.
    yield [
      perfTenant,
      dialogId(dialog),
      contextId(dialog % seed.contexts),
      'active',
      `${sentence(createRandom(dialog + 1), domain, 4)} ${dialog}`,
      'COLLABORATION',
      [domain],
      configuration,
      {},
      seed.participantsPerDialog,
      365,
      at,
      at,
      creator,
      at,
      creator,
    ];
  }
}
const dialogColumns = [
  'tenant_id',
  'id',
  'context_id',
  'status',
  'name',
  'type',
  'tags',
  'configuration',
  'workflow',
  'participant_count',
  'retention_days',
  'started_at',
  'created_at',
  'created_by',
  'updated_at',
  'updated_by',
];

function* participantRows(seed: DialogSeed, nowMs: number) {
  const at = new Date(nowMs - historyDays * dayMs);
  for (let dialog = 0; dialog < seed.dialogs; dialog += 1) {
    for (let place = 0; place < seed.participantsPerDialog; place += 1) {
      const role = place === 0 ? 'MODERATOR' : 'CONTRIBUTOR';
      const subject = subjectName(subjectAt(dialog, place, seed.subjects));
      yield [
        perfTenant,
        participantId(dialog, place),
        dialogId(dialog),
        subject,
        subject,
        'AI_AGENT',
        role,
        rolePermissions[role],
        'ACTIVE',
        [],
        '[[1,null]]',
        at,
        at,
        at,
      ];
    }
  }
}
const participantColumns = [
  'tenant_id',
  'id',
  'dialog_id',
  'subject',
  'identity',
  'type',
  'role',
  'permissions',
  'status',
  'capabilities',
  'spans',
  'joined_at',
  'created_at',
  'updated_at',
];

function* cursorRows(seed: DialogSeed, counts: Uint32Array) {
  for (let dialog = 0; dialog < seed.dialogs; dialog += 1) {
    for (let place = 0; place < seed.participantsPerDialog; place += 1) {
      const upto = readUpto(dialog, place, counts[dialog]!);
      yield [perfTenant, dialogId(dialog), participantId(dialog, place), upto, upto];
    }
  }
}

const createdAt = (nowMs: number, sequence: number, count: number): Date =>
  new Date(nowMs - 3_600_000 - Math.floor((historyDays * dayMs - 7_200_000) * (1 - sequence / count)));

function* stateRows(seed: DialogSeed, counts: Uint32Array, nowMs: number) {
  for (let dialog = 0; dialog < seed.dialogs; dialog += 1) {
    const count = counts[dialog]!;
    const at = createdAt(nowMs, count, count);
    yield [perfTenant, dialogId(dialog), count, count, seed.participantsPerDialog, at, 'AGENT', at];
  }
}
const stateColumns = [
  'tenant_id',
  'dialog_id',
  'last_sequence',
  'message_count',
  'active_count',
  'last_message_at',
  'last_sender_type',
  'last_activity_at',
];

function* messageRows(seed: DialogSeed, counts: Uint32Array, nowMs: number) {
  for (let dialog = 0; dialog < seed.dialogs; dialog += 1) {
    const random = createRandom(dialog + 1);
    const domain = domainOf(dialog);
    const count = counts[dialog]!;
    for (let sequence = 1; sequence <= count; sequence += 1) {
      const place = random.integer(seed.participantsPerDialog);
      yield [
        perfTenant,
        messageId(dialog, sequence),
        dialogId(dialog),
        sequence,
        participantId(dialog, place),
        subjectName(subjectAt(dialog, place, seed.subjects)),
        'AGENT',
        'agent',
        'TEXT',
        messageText(random, domain),
        [],
        [],
        'NORMAL',
        false,
        seed.participantsPerDialog - 1,
        '[]',
        '[]',
        createdAt(nowMs, sequence, count),
      ];
    }
  }
}
const messageColumns = [
  'tenant_id',
  'id',
  'dialog_id',
  'sequence',
  'sender_id',
  'sender_subject',
  'sender_type',
  'role',
  'type',
  'text',
  'mentions',
  'hashtags',
  'priority',
  'requires_response',
  'recipient_count',
  'attachments',
  'reactions',
  'created_at',
];

/** Dialogs with their participants, cursors and messages, as they stand when their events have left the log. */
export async function seedDialogs(sql: Sql, seed: DialogSeed, log: (text: string) => void): Promise<void> {
  const nowMs = Date.now();
  const counts = messageCounts(seed.dialogs, seed.messages);
  // The months the history reaches back to: a running platform made them at the time.
  for (let day = 0; day <= historyDays + 31; day += 28) {
    const table = { schema: 'dialog', table: 'message', unit: 'month', keep: null, ahead: 0 } as const;
    await maintainPartitions(sql, [table], new Date(nowMs - day * dayMs));
  }
  await copyRows(sql, 'dialog.dialog', dialogColumns, dialogRows(seed, nowMs));
  await copyRows(sql, 'dialog.dialog_state', stateColumns, stateRows(seed, counts, nowMs));
  await copyRows(sql, 'dialog.participant', participantColumns, participantRows(seed, nowMs));
  await copyRows(
    sql,
    'dialog.participant_cursor',
    ['tenant_id', 'dialog_id', 'participant_id', 'delivered_upto', 'read_upto'],
    cursorRows(seed, counts),
  );
  log(`${seed.dialogs} dialogs with ${seed.dialogs * seed.participantsPerDialog} participants stored`);
  await sql.unsafe('CREATE UNLOGGED TABLE seed_message (LIKE dialog.message INCLUDING DEFAULTS)');
  await sql.unsafe('ALTER TABLE seed_message ALTER COLUMN search DROP NOT NULL');
  await copyRows(sql, 'seed_message', messageColumns, messageRows(seed, counts, nowMs));
  log(`${counts.reduce((sum, count) => sum + count, 0)} messages copied`);
  await withoutIndexes(sql, 'dialog.message', async () => {
    const names = messageColumns.join(', ');
    await sql.unsafe(
      `INSERT INTO dialog.message (${names}, search) SELECT ${names}, to_tsvector('simple', text) FROM seed_message`,
    );
  });
  await sql.unsafe('DROP TABLE seed_message');
  log('messages indexed');
  // One event for the dialog, one for each participant, one for each message.
  await sql.unsafe(
    `INSERT INTO dialog.stream_head (tenant_id, stream_id, last_sequence)
     SELECT tenant_id, dialog_id, last_sequence + active_count + 1 FROM dialog.dialog_state`,
  );
}
