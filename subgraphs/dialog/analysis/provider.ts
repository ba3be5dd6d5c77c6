import type { Entities } from './entities.ts';
import type { Engagement } from './health/engagement.ts';
import type { Intervention } from './health/intervention.ts';
import type { Toxicity } from './health/toxicity.ts';
import type { Keyword } from './keywords/rake.ts';
import type { Topic } from './keywords/topics.ts';
import type { DetectedLanguage } from './language.ts';
import type { ActionItem } from './rules/actionItems.ts';
import type { DateMention } from './rules/dates.ts';
import type { Decision } from './rules/decisions.ts';
import type { Question } from './rules/questions.ts';
import type { Sentiment } from './sentiment/messageSentiment.ts';
import type { SentimentProgression } from './sentiment/progression.ts';
import type { Contribution } from './summary/contributions.ts';
import type { SummarySentence } from './summary/extract.ts';
import type { NextStep } from './summary/nextSteps.ts';

/** What analysis needs to know of a message. */
export interface AnalysableMessage {
  readonly messageId: string;
  /** Position in the dialog; also the order in which a summary reads the messages. */
  readonly sequence: number;
  readonly senderId: string;
  readonly senderType: 'HUMAN' | 'AGENT' | 'SYSTEM';
  /** The message type of the dialog module; DECISION and ACTION_ITEM state what the text is. */
  readonly type: string;
  readonly text: string;
  /** ISO 8601; the anchor of relative dates. */
  readonly sentAt: string;
  readonly replyToMessageId?: string | null;
}

export interface MessageAnalysis {
  readonly provider: string;
  readonly version: string;
  readonly messageId: string;
  readonly language: DetectedLanguage;
  readonly sentiment: Sentiment;
  readonly toxicity: Toxicity;
  readonly keywords: readonly Keyword[];
  readonly entities: Entities;
  readonly dates: readonly DateMention[];
  readonly actionItems: readonly ActionItem[];
  readonly decisions: readonly Decision[];
  readonly questions: readonly Question[];
  /** True where the text was longer than the configured limit and only its beginning and end were read. */
  readonly truncated: boolean;
}

export interface DialogSummary {
  readonly provider: string;
  readonly version: string;
  readonly messageCount: number;
  readonly firstSequence: number | null;
  readonly lastSequence: number | null;
  /** The summary sentences in reading order, one per line; empty where the dialog holds no prose. */
  readonly text: string;
  readonly sentences: readonly SummarySentence[];
  readonly keyTopics: readonly Topic[];
  readonly decisions: readonly Decision[];
  readonly actionItems: readonly ActionItem[];
  readonly openQuestions: readonly Question[];
  readonly nextSteps: readonly NextStep[];
  readonly contributions: readonly Contribution[];
  readonly sentimentProgression: SentimentProgression;
  readonly engagement: Engagement;
  readonly toxicity: number;
  readonly intervention: Intervention;
  readonly truncated: boolean;
}

export interface SummaryOptions {
  /** @default 5 */
  readonly maxSentences?: number;
  /** @default 5 */
  readonly maxTopics?: number;
  /** @default 20 */
  readonly maxActionItems?: number;
  /** @default 20 */
  readonly maxDecisions?: number;
  /** @default 3 */
  readonly maxNextSteps?: number;
  /** Buckets of the sentiment progression. @default 10 */
  readonly maxBuckets?: number;
  /** Participants including silent ones, for engagement. @default the senders */
  readonly participantCount?: number;
  readonly signal?: AbortSignal;
}

/** Something an answer may draw on. */
export interface Knowledge {
  readonly kind: 'MESSAGE' | 'MEMORY';
  /** How an answer names it. */
  readonly label: string;
  readonly text: string;
}

export interface ReplyRequest {
  readonly message: AnalysableMessage;
  /** Oldest first; everything in it may be said to everyone who reads the answer. */
  readonly knowledge: readonly Knowledge[];
}

export interface SuggestedReply {
  readonly text: string;
  /** 0 to 1, above the provider's threshold. */
  readonly confidence: number;
}

export interface AnalyzeOptions {
  readonly signal?: AbortSignal;
}

/**
 * Reads messages. The default is deterministic and local; a hosted model fits behind the same interface.
 * All methods throw the signal's reason once it is aborted.
 */
export interface AnalysisProvider {
  readonly name: string;
  /** Changes whenever the same input may give another result: stored results carry it. */
  readonly version: string;
  /** One analysis for each message, in their order. */
  analyzeMessages(
    messages: readonly AnalysableMessage[],
    options?: AnalyzeOptions,
  ): Promise<readonly MessageAnalysis[]>;
  summarize(messages: readonly AnalysableMessage[], options?: SummaryOptions): Promise<DialogSummary>;
  /** An answer to the message, or null where there is none to give. */
  suggestReply(request: ReplyRequest, options?: AnalyzeOptions): Promise<SuggestedReply | null>;
}
