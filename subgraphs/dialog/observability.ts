import { createHash } from 'node:crypto';
import type { ProtocolDocument } from '#shared/codec.ts';
import type { EventRow } from '#shared/events.ts';
import type { MessageAnalysisRow, MessageRow } from './rows.ts';

/** What a message answers, as its event tells. */
export interface AnsweredValue {
  readonly senderType: MessageRow['senderType'];
  readonly type: string;
  /** True when it wanted an answer. */
  readonly asks: boolean;
}

export function answeredBy(target: MessageRow): AnsweredValue {
  const { senderType, type } = target;
  const asks = target.requiresResponse || type === 'QUERY' || target.text?.trimEnd().endsWith('?') === true;
  return { senderType, type, asks };
}

/**
 * The frozen observability events of a dialog's own events. Of what people say (family `intent`): that it came, what was
 * found in it and what it is first of all. Of what they change (`delta_intent`): an edit of their own words or a COMMAND
 * in reply to an agent asks for a modification, a reply to an agent's question is a clarification. Texts stay out.
 */
export function observeDialog(event: EventRow): readonly ProtocolDocument[] {
  switch (event.type) {
    case 'dialog.message.sent':
      return observeMessage(event);
    case 'dialog.message.edited': {
      const message = messageOf(event);
      if (message.senderType !== 'HUMAN') return [];
      return [envelope(event, 'delta_intent', 'modification_requested', { cause: 'edit', ...place(event, message) })];
    }
    case 'dialog.analysis.completed':
      return observeAnalysis(event);
    default:
      return [];
  }
}

function observeMessage(event: EventRow): readonly ProtocolDocument[] {
  const message = messageOf(event);
  if (message.senderType !== 'HUMAN') return [];
  const payload = { ...place(event, message), message_type: message.type.toLowerCase() };
  const received = envelope(event, 'intent', 'user_message_received', payload);
  const answered = event.data['answers'] as AnsweredValue | undefined;
  if (answered?.senderType !== 'AGENT') return [received];
  const answer = { ...place(event, message), reply_to: message.replyTo };
  if (message.type === 'COMMAND')
    return [received, envelope(event, 'delta_intent', 'modification_requested', { cause: 'command', ...answer })];
  return answered.asks ? [received, envelope(event, 'delta_intent', 'clarification_received', answer)] : [received];
}

interface Intent {
  readonly kind: 'task' | 'question' | 'decision';
  readonly confidence: number;
}

function observeAnalysis(event: EventRow): readonly ProtocolDocument[] {
  const message = messageOf(event);
  const { result } = event.data['analysis'] as Partial<MessageAnalysisRow>;
  // Without a result the message was deleted since.
  if (message.senderType !== 'HUMAN' || !result) return [];
  const intents: Intent[] = [
    ...intentsOf(result['decisions'], 'decision'),
    ...intentsOf(result['actionItems'], 'task'),
    ...intentsOf(result['questions'], 'question'),
  ];
  const [first] = intents.toSorted((a, b) => b.confidence - a.confidence);
  if (!first) return [];
  const payload = place(event, message);
  return [
    envelope(event, 'intent', 'intent_extracted', { ...payload, intents }),
    envelope(event, 'intent', 'intent_classified', { ...payload, intent: first.kind, confidence: first.confidence }),
  ];
}

function intentsOf(found: unknown, kind: Intent['kind']): Intent[] {
  const entries = (found ?? []) as readonly { readonly confidence: number }[];
  return entries.map(({ confidence }) => ({ kind, confidence }));
}

function messageOf(event: EventRow): MessageRow {
  return event.data['message'] as MessageRow;
}

function place(event: EventRow, message: MessageRow): Readonly<Record<string, unknown>> {
  return { dialog_id: event.streamId, message_id: message.id, sequence: message.sequence };
}

function envelope(
  event: EventRow,
  family: 'intent' | 'delta_intent',
  type: string,
  payload: Readonly<Record<string, unknown>>,
): ProtocolDocument {
  const contextId = event.data['contextId'];
  return {
    event_id: idOf(event.eventId, type),
    event_type: type,
    event_family: family,
    timestamp: event.createdAt,
    ...(typeof contextId === 'string' ? { project_id: contextId } : {}),
    payload,
  };
}

/** One event makes several envelopes: each has an id of its own, the same whenever it is asked for. */
function idOf(eventId: string, type: string): string {
  const hex = createHash('sha256').update(`${eventId}/${type}`).digest('hex');
  const variant = ((Number.parseInt(hex[16]!, 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
