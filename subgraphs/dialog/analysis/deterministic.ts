import { type AnalysisConfig, defaultAnalysisConfig } from './config.ts';
import { extractEntities } from './entities.ts';
import { extractKeywords } from './keywords/rake.ts';
import { readMessage } from './messageReading.ts';
import type {
  AnalysableMessage,
  AnalyzeOptions,
  DialogSummary,
  MessageAnalysis,
  ReplyRequest,
  SuggestedReply,
  SummaryOptions,
} from './provider.ts';
import { suggestReply } from './reply/suggest.ts';
import { extractDates } from './rules/dates.ts';
import { readVaderLexicon } from './sentiment/lexicon.ts';
import { createVader } from './sentiment/vader.ts';
import { summarizeMessages } from './summary/summarize.ts';

/** The work itself, on the thread that calls it; `pooledProvider.ts` makes a provider of it. */
export interface DeterministicProvider {
  readonly name: string;
  readonly version: string;
  analyzeMessage(message: AnalysableMessage, options?: AnalyzeOptions): MessageAnalysis;
  summarize(messages: readonly AnalysableMessage[], options?: SummaryOptions): Promise<DialogSummary>;
  suggestReply(request: ReplyRequest): SuggestedReply | null;
}

export const deterministicName = 'deterministic';
export const deterministicVersion = '1.0.0';
/** Dates are read of this much prose; later ones are seen only inside action items. */
const dateChars = 16_384;

/**
 * The default provider: VADER, RAKE, TF-IDF, TextRank and rules, for English, without network, clock or chance; the
 * same messages give the same result. It reads the sentiment lexicon once and holds nothing else.
 */
export function createDeterministicProvider(config: Partial<AnalysisConfig> = {}): DeterministicProvider {
  const settings: AnalysisConfig = { ...defaultAnalysisConfig, ...config };
  const deps = { config: settings, vader: createVader(readVaderLexicon()) };
  return {
    name: deterministicName,
    version: deterministicVersion,
    analyzeMessage: (message, { signal } = {}) => {
      signal?.throwIfAborted();
      const knownNames = new Set([message.senderId.toLowerCase()]);
      const reading = readMessage(message, deps, { maxChars: settings.maxMessageChars, knownNames });
      const { document } = reading;
      return {
        provider: deterministicName,
        version: deterministicVersion,
        messageId: message.messageId,
        language: reading.language,
        sentiment: reading.sentiment,
        toxicity: reading.toxicity,
        keywords: extractKeywords(document.sentences, settings.maxKeywords),
        entities: extractEntities(message.text, document.prose),
        dates: extractDates(document.prose.slice(0, dateChars), message.sentAt),
        actionItems: reading.actionItems,
        decisions: reading.decisions,
        questions: reading.questions,
        truncated: document.truncated,
      };
    },
    suggestReply: (request) => suggestReply(request, deps),
    summarize: async (messages, options = {}) => ({
      provider: deterministicName,
      version: deterministicVersion,
      ...(await summarizeMessages(messages, deps, options)),
    }),
  };
}
