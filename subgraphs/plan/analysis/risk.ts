export type RiskStatus = 'identified' | 'mitigated' | 'accepted' | 'closed';
export type RiskLevel = 'low' | 'medium' | 'high' | 'critical';

export interface Risk {
  readonly name: string;
  /** 0 to 1. */
  readonly probability: number;
  /** 0 to 1. */
  readonly impact: number;
  readonly status?: RiskStatus | undefined;
}

export interface RiskScore {
  /** Sum of probability x impact over the open risks. */
  readonly exposure: number;
  /** Exposure over the number of open risks: 0 to 1, the mean severity. */
  readonly score: number;
  /** 1 - product of (1 - p x i): grows with every further risk, where the mean may fall. */
  readonly combined: number;
  /** By the worst single risk. */
  readonly level: RiskLevel;
  /** Open risks, worst first. */
  readonly ranked: readonly { readonly name: string; readonly severity: number; readonly level: RiskLevel }[];
}

/** Closed risks do not count; a mitigated one counts with the probability and impact that are left. */
export function scoreRisks(risks: readonly Risk[]): RiskScore {
  const ranked = risks
    .filter(({ status }) => status !== 'closed')
    .map(({ name, probability, impact }) => {
      const severity = probability * impact;
      return { name, severity, level: levelOf(severity) };
    })
    .sort((left, right) => right.severity - left.severity);
  const exposure = ranked.reduce((sum, { severity }) => sum + severity, 0);
  return {
    exposure,
    score: ranked.length === 0 ? 0 : exposure / ranked.length,
    combined: 1 - ranked.reduce((product, { severity }) => product * (1 - severity), 1),
    level: ranked[0]?.level ?? 'low',
    ranked,
  };
}

/** The zones of the probability and impact matrix of the PMBOK guide (PMI 2008), the red one halved for `critical`. */
function levelOf(severity: number): RiskLevel {
  if (severity >= 0.36) return 'critical';
  if (severity >= 0.18) return 'high';
  return severity >= 0.06 ? 'medium' : 'low';
}
