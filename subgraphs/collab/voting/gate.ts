export type Gate = 'auto' | 'confirm' | 'human';

export interface GateInput {
  /** 0 to 1. */
  readonly confidence: number;
  /** 0 to 1: how much hangs on it. */
  readonly impact: number;
  readonly type: string;
  readonly authority: {
    readonly approvalRequired: readonly string[];
    readonly escalationTriggers: readonly string[];
    /** From here on nobody has to be asked. @default 0.8 */
    readonly decisionConfidence: number;
    /** Below it people decide. @default 0.6 */
    readonly escalationConfidence: number;
  };
  /** What happened, in the words of the triggers. */
  readonly signals: readonly string[];
}

const maxImpact = 0.7;

/** Who has to look at a decision before it is carried out. */
export function gateOf({ confidence, impact, type, authority, signals }: GateInput): Gate {
  if (confidence < authority.escalationConfidence) return 'human';
  if (signals.some((signal) => authority.escalationTriggers.includes(signal))) return 'human';
  if (confidence < authority.decisionConfidence || impact >= maxImpact) return 'confirm';
  return authority.approvalRequired.includes(type) ? 'confirm' : 'auto';
}
