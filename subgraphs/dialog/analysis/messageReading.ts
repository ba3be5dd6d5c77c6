import type { AnalysisConfig } from './config.ts';
import { scoreToxicity, type Toxicity } from './health/toxicity.ts';
import type { TermCounts } from './keywords/tfidf.ts';
import { topicTerms } from './keywords/topics.ts';
import { type DetectedLanguage, detectLanguage } from './language.ts';
import type { AnalysableMessage } from './provider.ts';
import { type ActionItem, findActionItems } from './rules/actionItems.ts';
import { type CompletionReport, findCompletionReports } from './rules/completion.ts';
import { type Decision, findDecisions } from './rules/decisions.ts';
import { findQuestions, type Question } from './rules/questions.ts';
import { findStatedSteps, type StatedStep } from './rules/statedSteps.ts';
import { type Sentiment, scoreSentiment } from './sentiment/messageSentiment.ts';
import type { Polarity } from './sentiment/vader.ts';
import { type EligibleSentence, eligibleSentences } from './summary/candidates.ts';
import { readDocument, type TextDocument } from './text/document.ts';

/** Everything a summary needs of one message, read once. */
export interface MessageReading {
  readonly document: TextDocument;
  readonly language: DetectedLanguage;
  readonly sentiment: Sentiment;
  readonly toxicity: Toxicity;
  readonly actionItems: readonly ActionItem[];
  readonly decisions: readonly Decision[];
  readonly questions: readonly Question[];
}

export interface ReadingDeps {
  readonly config: AnalysisConfig;
  readonly vader: (sentence: string) => Polarity;
}

/** Reads a message; `knownNames` are lower-case participant ids. */
export function readMessage(
  message: AnalysableMessage,
  { config, vader }: ReadingDeps,
  options: { readonly maxChars: number; readonly knownNames: ReadonlySet<string> },
): MessageReading {
  const document = readDocument(message.text, options.maxChars);
  const { sentences } = document;
  const language = detectLanguage(document.prose);
  const foreign = language.code !== 'en' && language.confidence >= config.thresholds.sentiment;
  const context = { message, knownNames: options.knownNames, threshold: config.thresholds.suggestion };
  return {
    document,
    language,
    sentiment: scoreSentiment(sentences, vader, { threshold: config.thresholds.sentiment, foreign }),
    toxicity: scoreToxicity(sentences, config.toxicityLexicon),
    actionItems: findActionItems(sentences, context).slice(0, config.maxFindings),
    decisions: findDecisions(sentences, { ...context, threshold: config.thresholds.decision }).slice(
      0,
      config.maxFindings,
    ),
    questions: findQuestions(sentences, context).slice(0, config.maxFindings),
  };
}

/** What a summary keeps of a message: no words and masks, since there are many messages. */
export interface SummaryReading extends Omit<MessageReading, 'document'> {
  readonly eligible: readonly EligibleSentence[];
  readonly terms: TermCounts;
  readonly steps: readonly StatedStep[];
  readonly completions: readonly CompletionReport[];
  readonly wordCount: number;
  readonly contentWordCount: number;
  readonly truncated: boolean;
}

export function readForSummary(
  message: AnalysableMessage,
  deps: ReadingDeps,
  options: { readonly messageIndex: number; readonly maxChars: number; readonly knownNames: ReadonlySet<string> },
): SummaryReading {
  const { document, ...reading } = readMessage(message, deps, options);
  const { sentences } = document;
  const context = { message, knownNames: options.knownNames, threshold: deps.config.thresholds.suggestion };
  return {
    ...reading,
    eligible: eligibleSentences(message, sentences),
    terms: topicTerms(sentences),
    steps: findStatedSteps(sentences, context).slice(-1),
    completions: findCompletionReports(sentences, options.messageIndex).slice(0, deps.config.maxFindings),
    wordCount: document.wordCount,
    contentWordCount: sentences.reduce((sum, { contentWords }) => sum + contentWords.length, 0),
    truncated: document.truncated,
  };
}
