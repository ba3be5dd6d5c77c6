import type { Engagement } from './engagement.ts';

export interface Intervention {
  readonly recommended: boolean;
  readonly reasons: readonly ('TOXICITY' | 'LOW_ENGAGEMENT')[];
}

export interface InterventionThresholds {
  /** Intervene above. @default 0.7 */
  readonly toxicity: number;
  /** Intervene below. @default 0.3 */
  readonly engagement: number;
}

/** How many of the latest messages may call for an intervention: older offence is over (ours). */
export const toxicityWindow = 20;

/** Toxicity of a dialog: the worst of its latest twenty messages. */
export function recentToxicity(scores: readonly number[]): number {
  return scores.slice(-toxicityWindow).reduce((worst, score) => Math.max(worst, score), 0);
}

export function recommendIntervention(
  toxicity: number,
  { score }: Pick<Engagement, 'score'>,
  thresholds: InterventionThresholds,
): Intervention {
  const reasons: ('TOXICITY' | 'LOW_ENGAGEMENT')[] = [];
  if (toxicity > thresholds.toxicity) reasons.push('TOXICITY');
  if (score !== null && score < thresholds.engagement) reasons.push('LOW_ENGAGEMENT');
  return { recommended: reasons.length > 0, reasons };
}
