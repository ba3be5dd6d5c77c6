import type { RiskLevel } from './risk.ts';

/** What the decision bears upon. */
export interface ImpactAssessment {
  readonly scope: 'task' | 'project' | 'organization' | 'external' | null;
  readonly businessImpact: RiskLevel | null;
  readonly technicalImpact: RiskLevel | null;
  readonly affectedSystems: readonly string[];
  readonly affectedUsers: readonly string[];
}

/** What those who decide have to look at; kept elsewhere. */
export interface Attachment {
  readonly name: string;
  readonly url: string;
  readonly type: string | null;
  readonly sizeBytes: number | null;
}

type Loose<Value> = { readonly [Key in keyof Value]?: Value[Key] | null | undefined };

export function toImpact(given: Loose<ImpactAssessment> | null | undefined): ImpactAssessment | null {
  if (given == null) return null;
  return {
    scope: given.scope ?? null,
    businessImpact: given.businessImpact ?? null,
    technicalImpact: given.technicalImpact ?? null,
    affectedSystems: given.affectedSystems ?? [],
    affectedUsers: given.affectedUsers ?? [],
  };
}

export function toAttachments(
  given: readonly (Pick<Attachment, 'name' | 'url'> & Loose<Attachment>)[] | null | undefined,
): readonly Attachment[] | null {
  return (
    given?.map(({ name, url, type, sizeBytes }) => ({ name, url, type: type ?? null, sizeBytes: sizeBytes ?? null })) ??
    null
  );
}

export function impactPayload(impact: ImpactAssessment | null) {
  if (impact === null) return null;
  const upper = <Value extends string>(value: Value | null) =>
    value === null ? null : (value.toUpperCase() as Uppercase<Value>);
  return {
    scope: upper(impact.scope),
    businessImpact: upper(impact.businessImpact),
    technicalImpact: upper(impact.technicalImpact),
    affectedSystems: [...impact.affectedSystems],
    affectedUsers: [...impact.affectedUsers],
  };
}
