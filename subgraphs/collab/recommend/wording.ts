import { textProblem } from '#shared/validation.ts';
import type { Ranked } from './rank.ts';

/** Puts advice into words. It is given all figures and adds none. */
export interface RecommendationWriter {
  write(recommendation: Ranked): Promise<string> | string;
}

const percent = (part: number) => `${Math.round(1_000 * part) / 10} %`;

/** The words that are used without a provider. */
export function plainWords({ type, action, gain }: Ranked): string {
  const text = (name: string) => String(action[name]);
  switch (type) {
    case 'reassign_task':
      return `Give task ${text('taskId')} from ${text('from')} to ${text('to')}: ${percent(gain)} less time.`;
    case 'rebalance':
      return `Assign anew what has not begun: ${percent(gain)} less time.`;
    case 'add_capability':
      return `Have ${text('participantId')} bring ${text('capability')}: ${percent(gain)} fewer tasks that nobody can do.`;
    case 'pass_turn':
      return `Take the turn back from ${text('from')} and pass it on: ${percent(gain)} less waiting.`;
    case 'secure_quorum':
      return `Give the voting ${text('decisionId')} ${text('byMs')} ms more: ${percent(gain)} more likely to come to its quorum.`;
    default:
      return `Share what is disputed fairly: the one served least gets ${percent(gain)} more of what it asked for.`;
  }
}

const maxWords = 2_000;
/** Of any script: what is written in other digits is no number of ours. */
const numbers = /\p{Nd}+(?:\.\p{Nd}+)?/gu;

/** Numbers that a text may hold: those of the recommendation, rounded as anybody would. */
function knownNumbers(recommendation: Ranked): ReadonlySet<string> {
  const values = [
    recommendation.gain,
    recommendation.confidence,
    recommendation.score,
    ...Object.values(recommendation.before),
    ...Object.values(recommendation.after),
  ].flatMap((value) => [value, 100 * value]);
  const rounded = values.flatMap((value) =>
    [0, 1, 2, 3].flatMap((digits) => [value.toFixed(digits), String(Number(value.toFixed(digits)))]),
  );
  const said = JSON.stringify([recommendation.action, recommendation.evidence]).match(numbers) ?? [];
  return new Set([...rounded, ...said, ...(plainWords(recommendation).match(numbers) ?? [])]);
}

/** A provider's words where they can be kept and hold no number of its own; else plain ones. */
export async function wordingOf(recommendation: Ranked, writer: RecommendationWriter | null): Promise<string> {
  const plain = plainWords(recommendation);
  if (writer === null) return plain;
  try {
    const words = await writer.write(recommendation);
    const known = knownNumbers(recommendation);
    const isOurs = (words.match(numbers) ?? []).every((number) => known.has(number));
    return words.trim() !== '' && words.length <= maxWords && textProblem(words) === null && isOurs ? words : plain;
  } catch {
    return plain;
  }
}
