export { type AnalysisConfig, defaultAnalysisConfig } from './config.ts';
export { createDeterministicProvider, type DeterministicProvider } from './deterministic.ts';
export { type Entities, extractEntities, extractHashtags, extractMentions } from './entities.ts';
export {
  type ContentFilter,
  type ContentFilterConfig,
  createContentFilters,
  type FilterInput,
  type FilterReason,
  type FilterReasonCode,
  type FilterResult,
} from './filters/contentFilter.ts';
export type { Engagement } from './health/engagement.ts';
export type { Intervention } from './health/intervention.ts';
export type { Toxicity } from './health/toxicity.ts';
export type { Keyword } from './keywords/rake.ts';
export type { Topic } from './keywords/topics.ts';
export { type DetectedLanguage, detectLanguage } from './language.ts';
export { scoreBm25 } from './memory/bm25.ts';
export {
  evictExpired,
  evictToCapacity,
  type MemoryEntry,
  type MemoryScoring,
  type ScoredMemory,
  scoreMemory,
} from './memory/memory.ts';
export { createPooledProvider } from './pooledProvider.ts';
export type {
  AnalysableMessage,
  AnalysisProvider,
  AnalyzeOptions,
  DialogSummary,
  Knowledge,
  MessageAnalysis,
  ReplyRequest,
  SuggestedReply,
  SummaryOptions,
} from './provider.ts';
export type { ActionItem, ActionPriority } from './rules/actionItems.ts';
export type { DateMention } from './rules/dates.ts';
export type { Decision } from './rules/decisions.ts';
export type { Question } from './rules/questions.ts';
export type { Sentiment, SentimentLabel } from './sentiment/messageSentiment.ts';
export type { SentimentBucket, SentimentProgression } from './sentiment/progression.ts';
export type { Contribution } from './summary/contributions.ts';
export type { SummarySentence } from './summary/extract.ts';
export type { NextStep } from './summary/nextSteps.ts';
