import { defaultToxicity, type ToxicityLexicon } from './health/toxicity.ts';

export interface AnalysisConfig {
  /** Characters read of one message, a quarter of them from its end. @default 65,536 */
  readonly maxMessageChars: number;
  /** Characters read of all messages of a summary, shared equally among them. @default 4,194,304 */
  readonly maxSummaryChars: number;
  /** Sentences that TextRank compares pairwise. @default 300 */
  readonly maxCandidates: number;
  /** @default 10 */
  readonly maxKeywords: number;
  /** Findings of each kind in one message. @default 20 */
  readonly maxFindings: number;
  readonly thresholds: {
    /** @default 0.9 */
    readonly decision: number;
    /** Action items, questions and next steps. @default 0.7 */
    readonly suggestion: number;
    /** @default 0.8 */
    readonly sentiment: number;
    /** Intervene above. @default 0.7 */
    readonly toxicity: number;
    /** Intervene below. @default 0.3 */
    readonly engagement: number;
  };
  readonly toxicityLexicon: ToxicityLexicon;
  /** Longest stretch of a summary without giving the event loop a turn. @default 8 */
  readonly sliceMs: number;
}

export const defaultAnalysisConfig: AnalysisConfig = {
  maxMessageChars: 65_536,
  maxSummaryChars: 4_194_304,
  maxCandidates: 300,
  maxKeywords: 10,
  maxFindings: 20,
  thresholds: { decision: 0.9, suggestion: 0.7, sentiment: 0.8, toxicity: 0.7, engagement: 0.3 },
  toxicityLexicon: defaultToxicity,
  sliceMs: 8,
};
