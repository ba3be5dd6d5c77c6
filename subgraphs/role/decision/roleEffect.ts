import {
  type GrantUnit,
  includesPattern,
  isUnconditional,
  overlaps,
  type PermissionSet,
  patternOf,
} from './permissionSets.ts';

/** An allow of a role that its denials leave, in whole or in part. */
export interface SettledAllow {
  readonly unit: GrantUnit;
  /** Whether it depends on the request. */
  readonly conditional: boolean;
  /** Denials that meet it without surely taking in all of it. */
  readonly denials: readonly GrantUnit[];
}

/**
 * Deny-overrides (XACML 3.0) without a request: an allow goes where a denial that needs no condition takes in all of it.
 * Any other denial that meets it is named, since it depends on the request what that takes away.
 */
export function settleDenials({ certain, conditional }: PermissionSet): readonly SettledAllow[] {
  const isDenial = ({ grant }: GrantUnit) => grant.permission.effect === 'deny';
  const all = [
    ...certain.map((unit) => ({ unit, isCertain: isUnconditional(unit) })),
    ...conditional.map((unit) => ({ unit, isCertain: false })),
  ];
  const denials = all.filter(({ unit }) => isDenial(unit));
  return all
    .filter(({ unit }) => !isDenial(unit))
    .flatMap(({ unit, isCertain }): SettledAllow[] => {
      const own = patternOf(unit);
      const met = denials.filter((denial) => overlaps(patternOf(denial.unit), own));
      if (met.some((denial) => denial.isCertain && includesPattern(patternOf(denial.unit), own))) return [];
      return [{ unit, conditional: !isCertain, denials: met.map((denial) => denial.unit) }];
    });
}
