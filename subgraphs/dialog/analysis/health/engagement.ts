import type { AnalysableMessage } from '../provider.ts';

export interface Engagement {
  /** 0 to 1; null where fewer than four messages say nothing. */
  readonly score: number | null;
  /** Evenness of the messages per participant, 0 (one speaks) to 1 (all alike). */
  readonly evenness: number;
  /** Share of messages that follow one of another sender. */
  readonly alternation: number;
  /** Share of questions that were answered; null without questions. */
  readonly responsiveness: number | null;
  /** Share of messages with at least three content words. */
  readonly substance: number;
}

const minMessages = 4;
const weights = { evenness: 0.35, alternation: 0.35, responsiveness: 0.15, substance: 0.15 } as const;

export interface EngagementInput {
  /** In sequence order. */
  readonly messages: readonly AnalysableMessage[];
  /** Content words per message, parallel to `messages`. */
  readonly contentWordCounts: readonly number[];
  readonly questionCount: number;
  readonly openQuestionCount: number;
  /** Participants including those who said nothing; at least the senders count. */
  readonly participantCount?: number | undefined;
}

/**
 * Engagement, defined by us: 0.35 evenness + 0.35 alternation + 0.15 responsiveness + 0.15 substance, divided by the
 * weights that apply (no responsiveness without questions). Evenness is Pielou's (1966): the Shannon entropy of the
 * messages per sender over the logarithm of the number of participants. Messages of the system do not count.
 */
export function measureEngagement(input: EngagementInput): Engagement {
  const counts = new Map<string, number>();
  let total = 0;
  let turns = 0;
  let substantial = 0;
  let previous: string | undefined;
  for (const [index, { senderId, senderType }] of input.messages.entries()) {
    if (senderType === 'SYSTEM') continue;
    counts.set(senderId, (counts.get(senderId) ?? 0) + 1);
    total++;
    if (previous !== undefined && previous !== senderId) turns++;
    if ((input.contentWordCounts[index] ?? 0) >= 3) substantial++;
    previous = senderId;
  }
  const evenness = evennessOf([...counts.values()], total, Math.max(counts.size, input.participantCount ?? 0));
  const alternation = total < 2 ? 0 : turns / (total - 1);
  const responsiveness = input.questionCount === 0 ? null : 1 - input.openQuestionCount / input.questionCount;
  const substance = total === 0 ? 0 : substantial / total;
  const sum =
    weights.evenness * evenness +
    weights.alternation * alternation +
    weights.responsiveness * (responsiveness ?? 0) +
    weights.substance * substance;
  const score = total < minMessages ? null : round4(sum / (responsiveness === null ? 1 - weights.responsiveness : 1));
  return {
    score,
    evenness: round4(evenness),
    alternation: round4(alternation),
    responsiveness: responsiveness === null ? null : round4(responsiveness),
    substance: round4(substance),
  };
}

function evennessOf(counts: readonly number[], total: number, participants: number): number {
  if (participants < 2 || counts.length < 2) return 0;
  let entropy = 0;
  // Sorted, so that the sum does not depend on who spoke first.
  for (const count of counts.toSorted((left, right) => left - right))
    entropy -= (count / total) * Math.log(count / total);
  return Math.min(1, entropy / Math.log(participants));
}

function round4(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
