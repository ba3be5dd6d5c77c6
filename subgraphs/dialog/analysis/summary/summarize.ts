import { measureEngagement } from '../health/engagement.ts';
import { recentToxicity, recommendIntervention } from '../health/intervention.ts';
import { weighTerms } from '../keywords/tfidf.ts';
import { rankTopics } from '../keywords/topics.ts';
import { type ReadingDeps, readForSummary, type SummaryReading } from '../messageReading.ts';
import type { AnalysableMessage, DialogSummary, SummaryOptions } from '../provider.ts';
import type { ActionItem } from '../rules/actionItems.ts';
import { closeCompleted } from '../rules/completion.ts';
import type { Decision } from '../rules/decisions.ts';
import { findOpenQuestions } from '../rules/questions.ts';
import { progressSentiment } from '../sentiment/progression.ts';
import { isContentWord, wordsOf } from '../text/tokens.ts';
import { createTimeSlice } from '../timeSlice.ts';
import { chooseCandidates } from './candidates.ts';
import { countContributions } from './contributions.ts';
import { extractSentences } from './extract.ts';
import { deriveNextSteps } from './nextSteps.ts';

/** Action items looked at for completion; the most confident ones, later before earlier. */
const maxTrackedItems = 200;
const maxCompletions = 1_000;
const maxOpenQuestions = 10;
const minCharsPerMessage = 200;

export type SummaryContent = Omit<DialogSummary, 'provider' | 'version'>;

/**
 * Summarises messages, in whatever order they are given: all that follows reads them by sequence, then id. Gives the
 * event loop a turn between messages.
 * @throws the signal's reason once it is aborted
 */
export async function summarizeMessages(
  given: readonly AnalysableMessage[],
  deps: ReadingDeps,
  options: SummaryOptions,
): Promise<SummaryContent> {
  const { config } = deps;
  const slice = createTimeSlice(config.sliceMs, options.signal);
  await slice.pause();
  const messages = given.toSorted(
    (left, right) => left.sequence - right.sequence || compareText(left.messageId, right.messageId),
  );
  const knownNames = new Set(messages.map(({ senderId }) => senderId.toLowerCase()));
  const share = Math.floor(config.maxSummaryChars / Math.max(1, messages.length));
  const maxChars = Math.min(config.maxMessageChars, Math.max(minCharsPerMessage, share));
  const readings: SummaryReading[] = [];
  for (const [index, message] of messages.entries()) {
    readings.push(readForSummary(message, deps, { messageIndex: index, maxChars, knownNames }));
    await slice.pause();
  }
  const weights = await weighTerms(
    readings.filter((_, index) => messages[index]?.senderType !== 'SYSTEM').map(({ terms }) => terms),
    slice.pause,
  );
  await slice.pause();
  const candidates = chooseCandidates(
    messages,
    readings.map(({ eligible }) => eligible),
    { weights: weights.total, maxCandidates: config.maxCandidates },
  );
  await slice.pause();
  const sentences = extractSentences(candidates, limit(options.maxSentences, 5));
  await slice.pause();

  const actionItems = gatherActionItems(readings);
  const asked = readings.flatMap(({ questions }, messageIndex) =>
    questions.map((question) => ({ question, messageIndex, words: wordsOf(question.text).filter(isContentWord) })),
  );
  const openQuestions = findOpenQuestions(
    asked,
    messages,
    readings.map(({ terms }) => terms),
  );
  const engagement = measureEngagement({
    messages,
    contentWordCounts: readings.map(({ contentWordCount }) => contentWordCount),
    questionCount: asked.length,
    openQuestionCount: openQuestions.length,
    participantCount: options.participantCount,
  });
  const toxicity = recentToxicity(readings.map((reading) => reading.toxicity.score));
  return {
    messageCount: messages.length,
    firstSequence: messages[0]?.sequence ?? null,
    lastSequence: messages.at(-1)?.sequence ?? null,
    text: sentences.map(({ text }) => text).join('\n'),
    sentences,
    keyTopics: rankTopics(weights, messages.length, limit(options.maxTopics, 5)),
    decisions: gatherDecisions(readings, limit(options.maxDecisions, 20)),
    actionItems: mostConfident(actionItems, limit(options.maxActionItems, 20)),
    openQuestions: openQuestions.slice(-maxOpenQuestions),
    nextSteps: deriveNextSteps(
      { stated: readings.flatMap(({ steps }) => steps), actionItems, openQuestions },
      limit(options.maxNextSteps, 3),
    ),
    contributions: countContributions(
      messages,
      readings.map(({ wordCount }) => wordCount),
    ),
    sentimentProgression: progressSentiment(
      messages,
      readings.map(({ sentiment }) => sentiment.compound),
      limit(options.maxBuckets, 10),
    ),
    engagement,
    toxicity,
    intervention: recommendIntervention(toxicity, engagement, config.thresholds),
    truncated: readings.some(({ truncated }) => truncated),
  };
}

/** The most any list of a summary holds, whatever is asked for. */
const maxListed = 100;

function limit(value: number | undefined, byDefault: number): number {
  const wanted = value ?? byDefault;
  return Number.isNaN(wanted) ? byDefault : Math.min(maxListed, Math.max(0, Math.floor(wanted)));
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Without repetitions (the first one stays), each with the status later messages give it, in reading order. */
function gatherActionItems(readings: readonly SummaryReading[]): ActionItem[] {
  const seen = new Set<string>();
  const entries = readings.flatMap(({ actionItems }, messageIndex) =>
    actionItems.flatMap((item) => {
      const key = wordsOf(item.action).join(' ');
      if (seen.has(key)) return [];
      seen.add(key);
      return [{ item, messageIndex, words: wordsOf(item.action).filter(isContentWord) }];
    }),
  );
  const tracked = new Set(
    entries
      .toSorted((left, right) => right.item.confidence - left.item.confidence || right.messageIndex - left.messageIndex)
      .slice(0, maxTrackedItems),
  );
  const reports = readings.flatMap(({ completions }) => completions).slice(-maxCompletions);
  return closeCompleted(
    entries.filter((entry) => tracked.has(entry)),
    reports,
  );
}

function gatherDecisions(readings: readonly SummaryReading[], maxDecisions: number): Decision[] {
  const seen = new Set<string>();
  const decisions = readings
    .flatMap((reading) => reading.decisions)
    .filter(({ text }) => {
      const key = wordsOf(text).join(' ');
      return !seen.has(key) && seen.add(key) !== undefined;
    });
  return mostConfident(decisions, maxDecisions);
}

/** The most confident ones, later before earlier, given back in their order. */
function mostConfident<T extends { readonly confidence: number }>(items: readonly T[], count: number): T[] {
  return items
    .map((item, index) => ({ item, index }))
    .sort((left, right) => right.item.confidence - left.item.confidence || right.index - left.index)
    .slice(0, count)
    .sort((left, right) => left.index - right.index)
    .map(({ item }) => item);
}
