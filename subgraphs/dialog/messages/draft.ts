import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { hashInput, type IdempotentCall } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import { maxTextBytes, parseInput } from '#shared/validation.ts';
import { createContentFilters, extractHashtags, extractMentions } from '../analysis/index.ts';
import { callOf } from '../calls.ts';
import * as inputs from '../inputs.ts';
import type { AiProcessingValue, AttachmentValue } from '../rows.ts';

export const maxMessageBytes = 1_048_576;
export const maxAttachmentBytes = 10_485_760;

const filters = createContentFilters();
const moderatedFilters = createContentFilters({ profanity: true });

/** A message as its sender wants it: checked by itself, not yet against its dialog. */
export interface MessageDraft {
  readonly scope: RequestScope;
  readonly idempotent: IdempotentCall | null;
  readonly id: string;
  readonly input: inputs.SendMessageInput;
  readonly type: string;
  readonly priority: string;
  readonly attachments: readonly AttachmentValue[];
  readonly aiProcessing: AiProcessingValue | null;
  /** Names after @; resolved to participants under the dialog's lock. */
  readonly mentionedNames: readonly string[];
  readonly hashtags: readonly string[];
  /** SHA-256 of what was said, hex; only where a client message id asks for it. */
  readonly contentHash: string | null;
}

/** @throws {MESSAGE_TOO_LARGE} {CONTENT_REJECTED} {VALIDATION_FAILED} */
export function draftMessage(scope: RequestScope, raw: unknown): MessageDraft {
  const input = parseInput(inputs.sendMessage, raw);
  (input.attachments ?? []).forEach((attachment, index) => {
    if (attachment.sizeBytes > maxAttachmentBytes) {
      throw new PlatformError(
        'MESSAGE_TOO_LARGE',
        `an attachment has at most ${maxAttachmentBytes} bytes, got ${attachment.sizeBytes}`,
        {
          path: ['input', 'attachments', index, 'sizeBytes'],
          details: { limitBytes: maxAttachmentBytes },
        },
      );
    }
  });
  requireContent(input);
  const { idempotencyKey, clientMessageId, ...said } = input;
  const attachments = (input.attachments ?? []).map((attachment) => ({
    attachmentId: newId(),
    type: attachment.type,
    name: attachment.name,
    sizeBytes: attachment.sizeBytes,
    url: attachment.url,
    checksum: attachment.checksum ?? null,
    accessPermissions: attachment.accessPermissions ?? [],
  }));
  return {
    scope,
    idempotent:
      idempotencyKey == null
        ? null
        : callOf(scope.principal, idempotencyKey, 'sendMessage', { ...said, clientMessageId: clientMessageId ?? null }),
    id: newId(),
    input,
    type: input.type ?? 'TEXT',
    priority: input.priority ?? 'NORMAL',
    attachments,
    aiProcessing: input.aiProcessing ? aiProcessing(input.aiProcessing) : null,
    ...namesIn(input.content),
    contentHash: clientMessageId == null ? null : hashInput(said),
  };
}

/**
 * The message with other content. What its sender said stays what repeats of the call are compared with.
 * @throws {MESSAGE_TOO_LARGE} {CONTENT_REJECTED} {VALIDATION_FAILED}
 */
export function withContent(draft: MessageDraft, raw: unknown): MessageDraft {
  const content = parseInput(inputs.messageContent, raw, ['input', 'content']);
  const input = { ...draft.input, content };
  requireContent(input);
  return { ...draft, input, ...namesIn(content) };
}

function namesIn({ text }: inputs.SendMessageInput['content']): Pick<MessageDraft, 'mentionedNames' | 'hashtags'> {
  return {
    mentionedNames: text?.includes('@') ? extractMentions(text) : [],
    hashtags: text?.includes('#') ? extractHashtags(text) : [],
  };
}

function requireContent({ content, attachments }: Pick<inputs.SendMessageInput, 'content' | 'attachments'>): void {
  requireSize(content, ['input', 'content']);
  const text = content.text ?? '';
  if (text === '' && content.structuredData == null && (attachments ?? []).length === 0) {
    throw new PlatformError('VALIDATION_FAILED', 'input.content: expected text, structured data or an attachment', {
      path: ['input', 'content'],
    });
  }
  requireAllowed(text, { moderated: false, recentTexts: [] });
}

export const allAiProcessing: AiProcessingValue = { sentiment: true, topics: true, actionItems: true, entities: true };

function aiProcessing(input: NonNullable<inputs.SendMessageInput['aiProcessing']>): AiProcessingValue | null {
  const { sentiment, topics, actionItems, entities } = input;
  if (!sentiment && !topics && !actionItems && !entities) return null;
  return {
    sentiment: sentiment ?? false,
    topics: topics ?? false,
    actionItems: actionItems ?? false,
    entities: entities ?? false,
  };
}

/** @throws {MESSAGE_TOO_LARGE} */
export function requireSize(content: inputs.SendMessageInput['content'], path: readonly (string | number)[]): void {
  const textBytes = bytesOf(content.text ?? '', maxTextBytes);
  if (textBytes > maxTextBytes) {
    throw new PlatformError(
      'MESSAGE_TOO_LARGE',
      `${path.join('.')}.text: expected at most ${maxTextBytes} bytes, got ${textBytes}`,
      {
        path: [...path, 'text'],
        details: { limitBytes: maxTextBytes, bytes: textBytes },
      },
    );
  }
  if (content.structuredData == null) return;
  const bytes = textBytes + Buffer.byteLength(JSON.stringify(content.structuredData));
  if (bytes > maxMessageBytes) {
    throw new PlatformError(
      'MESSAGE_TOO_LARGE',
      `${path.join('.')}: expected at most ${maxMessageBytes} bytes, got ${bytes}`,
      {
        path,
        details: { limitBytes: maxMessageBytes, bytes },
      },
    );
  }
}

/** Exact above the limit; below it a cheap upper bound will do. */
function bytesOf(text: string, limit: number): number {
  return text.length * 3 <= limit ? text.length : Buffer.byteLength(text);
}

/** @throws {CONTENT_REJECTED} naming what the filters found. */
export function requireAllowed(
  text: string,
  options: { readonly moderated: boolean; readonly recentTexts: readonly string[] },
): void {
  if (text === '') return;
  const { allowed, reasons } = (options.moderated ? moderatedFilters : filters).check({
    text,
    recentTexts: options.recentTexts,
  });
  if (allowed) return;
  const refused = reasons.filter((reason) => reason.action === 'REJECT');
  throw new PlatformError('CONTENT_REJECTED', refused.map((reason) => reason.detail).join('; '), {
    path: ['input', 'content', 'text'],
    details: { reasons: refused.map(({ filter, code, detail }) => ({ filter, code, detail })) },
  });
}
