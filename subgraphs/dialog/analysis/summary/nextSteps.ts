import type { ActionItem } from '../rules/actionItems.ts';
import type { Question } from '../rules/questions.ts';
import type { StatedStep } from '../rules/statedSteps.ts';

export interface NextStep {
  readonly text: string;
  readonly source: 'STATED' | 'ACTION_ITEM' | 'OPEN_QUESTION';
  readonly messageId: string;
  readonly confidence: number;
}

const priorityRank = { URGENT: 0, HIGH: 1, NORMAL: 2, LOW: 3 } as const;

/**
 * What remains to be done, at most `maxNextSteps`: the latest step a participant announced as next, then open action
 * items by priority, due date and recency, then open questions, latest first. All verbatim from the messages.
 */
export function deriveNextSteps(
  found: {
    readonly stated: readonly StatedStep[];
    readonly actionItems: readonly ActionItem[];
    readonly openQuestions: readonly Question[];
  },
  maxNextSteps: number,
): NextStep[] {
  const steps: NextStep[] = [];
  const seen = new Set<string>();
  const add = (step: NextStep): void => {
    const key = step.text.toLowerCase();
    if (steps.length >= maxNextSteps || seen.has(key)) return;
    seen.add(key);
    steps.push(step);
  };
  const latest = found.stated.at(-1);
  if (latest !== undefined)
    add({ text: latest.text, source: 'STATED', messageId: latest.messageId, confidence: latest.confidence });
  const open = found.actionItems
    .map((item, index) => ({ item, index }))
    .filter(({ item }) => item.status === 'OPEN')
    .sort(
      (left, right) =>
        priorityRank[left.item.priority] - priorityRank[right.item.priority] ||
        compareDue(left.item.dueDate, right.item.dueDate) ||
        right.index - left.index,
    );
  for (const { item } of open)
    add({ text: item.action, source: 'ACTION_ITEM', messageId: item.messageId, confidence: item.confidence });
  for (const question of found.openQuestions.toReversed()) {
    add({
      text: question.text,
      source: 'OPEN_QUESTION',
      messageId: question.messageId,
      confidence: question.confidence,
    });
  }
  return steps;
}

/** Dated before undated, earlier before later. */
function compareDue(left: string | null, right: string | null): number {
  if (left === right) return 0;
  if (left === null) return 1;
  if (right === null) return -1;
  return left < right ? -1 : 1;
}
