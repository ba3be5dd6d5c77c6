export const riskLevels = ['none', 'low', 'medium', 'high', 'critical'] as const;
export type RiskLevel = (typeof riskLevels)[number];

export interface RiskFactor {
  readonly factor: string;
  /** 0 to 1. */
  readonly probability: number;
  readonly impact: RiskLevel;
  readonly mitigation: string | null;
}

export interface RiskAssessment {
  readonly overall: RiskLevel | null;
  /** 0 to 1; null where nobody named factors. */
  readonly score: number | null;
  readonly factors: readonly RiskFactor[];
  readonly complianceRequirements: readonly string[];
}

/** Scores from which a risk is low, medium, high and critical; below the first there is none. */
export type RiskCutoffs = readonly [low: number, medium: number, high: number, critical: number];

const weights: Readonly<Record<RiskLevel, number>> = { none: 0, low: 0.25, medium: 0.5, high: 0.75, critical: 1 };

/** Probability by what it would cost, 0 to 1. */
export function riskOf({ probability, impact }: Pick<RiskFactor, 'probability' | 'impact'>): number {
  return round(probability * weights[impact]);
}

/** The chance that not all goes well, factors taken as independent: it never falls by one more. */
export function scoreOf(factors: readonly Pick<RiskFactor, 'probability' | 'impact'>[]): number {
  return round(1 - factors.reduce((well, { probability, impact }) => well * (1 - probability * weights[impact]), 1));
}

export function levelOf(score: number, cutoffs: RiskCutoffs): RiskLevel {
  return riskLevels[cutoffs.filter((from) => score >= from).length]!;
}

export interface GivenRisk {
  readonly overall?: RiskLevel | null | undefined;
  readonly factors?:
    | readonly (Omit<RiskFactor, 'mitigation'> & { mitigation?: string | null | undefined })[]
    | null
    | undefined;
  readonly complianceRequirements?: readonly string[] | null | undefined;
}

/** What was said of the risk, with what follows from its factors. */
export function assessRisk(given: GivenRisk | null | undefined, cutoffs: RiskCutoffs): RiskAssessment | null {
  if (given == null) return null;
  const factors = (given.factors ?? []).map((factor) => ({ ...factor, mitigation: factor.mitigation ?? null }));
  const score = factors.length === 0 ? null : scoreOf(factors);
  return {
    overall: score === null ? (given.overall ?? null) : levelOf(score, cutoffs),
    score,
    factors,
    complianceRequirements: [...(given.complianceRequirements ?? [])],
  };
}

/** As GraphQL names it; of what was kept before assessments had a shape, what fits it. */
export function riskPayload(risk: Partial<RiskAssessment> | null) {
  if (risk === null) return null;
  const { overall, score, factors = [], complianceRequirements = [] } = risk;
  return {
    overall: isLevel(overall) ? upper(overall) : null,
    score: typeof score === 'number' ? score : null,
    factors: factors.map((factor) => ({ ...factor, impact: upper(factor.impact), risk: riskOf(factor) })),
    complianceRequirements: [...complianceRequirements],
  };
}

const isLevel = (value: unknown): value is RiskLevel => riskLevels.includes(value as RiskLevel);
const upper = (level: RiskLevel) => level.toUpperCase() as Uppercase<RiskLevel>;

/** Four digits say more than anybody knows of a risk, and read alike wherever they are stored. */
function round(value: number): number {
  return Math.round(value * 10_000) / 10_000 + 0;
}
