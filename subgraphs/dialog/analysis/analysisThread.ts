import { createDeterministicProvider, type DeterministicProvider } from './deterministic.ts';
import type {
  AnalysableMessage,
  DialogSummary,
  MessageAnalysis,
  ReplyRequest,
  SuggestedReply,
  SummaryOptions,
} from './provider.ts';

/** What the compute pool's threads run. The lexicon is read once per thread and goes with it. */
let provider: DeterministicProvider | null = null;

export function analyzeMessages(messages: readonly AnalysableMessage[]): readonly MessageAnalysis[] {
  provider ??= createDeterministicProvider();
  return messages.map((message) => provider!.analyzeMessage(message));
}

export function summarizeMessages(input: {
  readonly messages: readonly AnalysableMessage[];
  readonly options: Omit<SummaryOptions, 'signal'>;
}): Promise<DialogSummary> {
  provider ??= createDeterministicProvider();
  return provider.summarize(input.messages, input.options);
}

export function suggestReply(request: ReplyRequest): SuggestedReply | null {
  provider ??= createDeterministicProvider();
  return provider.suggestReply(request);
}
