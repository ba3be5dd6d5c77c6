import type { Sentence } from '../text/document.ts';
import type { ActionItem } from './actionItems.ts';
import { ruleText } from './ruleSentence.ts';

/** A sentence that reports something as finished. */
export interface CompletionReport {
  readonly messageIndex: number;
  readonly stems: ReadonlySet<string>;
}

const finished =
  /\b(?:done|finished|completed|fixed|merged|shipped|closed|resolved|deployed|sent|submitted|delivered|published)\b/i;
const unfinished =
  /\b(?:not|isn't|hasn't|haven't|never|will|won't|to be|should|must|need|once|when|until|if|almost)\b|n't\b/i;
/** Share of an action's content words that a report must repeat (ours). */
const requiredOverlap = 0.5;

export function findCompletionReports(sentences: readonly Sentence[], messageIndex: number): CompletionReport[] {
  const reports: CompletionReport[] = [];
  for (const sentence of sentences) {
    if (!finished.test(sentence.prose)) continue;
    const text = ruleText(sentence);
    if (!finished.test(text) || unfinished.test(text) || text.endsWith('?')) continue;
    reports.push({ messageIndex, stems: new Set(sentence.contentWords.map(stem)) });
  }
  return reports;
}

/** Marks items as DONE that a later message reports as finished in at least half of their content words. */
export function closeCompleted(
  items: readonly { readonly item: ActionItem; readonly messageIndex: number; readonly words: readonly string[] }[],
  reports: readonly CompletionReport[],
): ActionItem[] {
  return items.map(({ item, messageIndex, words }) => {
    if (item.status === 'DONE') return item;
    const stems = [...new Set(words.map(stem))];
    if (stems.length === 0) return item;
    const done = reports.some(
      (report) =>
        report.messageIndex > messageIndex &&
        stems.filter((word) => report.stems.has(word)).length >= Math.max(1, stems.length * requiredOverlap),
    );
    return done ? { ...item, status: 'DONE' } : item;
  });
}

/** `deploy`, `deployed` and `deploying` agree in their first five letters. */
function stem(word: string): string {
  return word.slice(0, 5);
}
