import type { ConflictResolution, MergeStrategy } from '../hierarchy/index.ts';
import { demandsApproval } from './permission.ts';
import { type GrantUnit, includesPattern, isUnconditional, overlaps, patternOf } from './permissionSets.ts';

/** Units with whether they come whatever the request. */
export type UnitList = readonly { readonly unit: GrantUnit; readonly isCertain: boolean }[];

type Listed = UnitList[number];

const isAllow = ({ unit }: Listed): boolean => unit.grant.permission.effect === 'allow';
const asksApproval = ({ unit }: Listed): boolean =>
  unit.asks === true ||
  demandsApproval(unit.grant.permission, unit.action) ||
  (unit.action === '*' && unit.grant.permission.approvalRequired !== undefined);
const meets = (left: Listed, right: Listed): boolean => overlaps(patternOf(left.unit), patternOf(right.unit));
/** Applies to every request that the other takes in. */
const covers = (outer: Listed, inner: Listed): boolean =>
  outer.isCertain && isUnconditional(outer.unit) && includesPattern(patternOf(outer.unit), patternOf(inner.unit));
const uncertain = ({ unit }: Listed): Listed => ({ unit, isCertain: false });

/**
 * What of the parents' units comes by the strategy, without knowing the request: certain where no request decides
 * otherwise, left out where none lets it come, uncertain between. Lists stand in the order of their priority.
 */
export function mergeUnits(lists: readonly UnitList[], strategy: MergeStrategy): UnitList {
  if (strategy === 'union' || lists.length < 2) return lists.flat();
  return lists.flatMap((list, at) =>
    list.flatMap((listed): Listed[] => {
      const others = strategy === 'priority' ? lists.slice(0, at) : lists.filter((_, other) => other !== at);
      if (strategy === 'priority') {
        if (others.some((other) => other.some((unit) => covers(unit, listed)))) return [];
        return [others.some((other) => other.some((unit) => meets(unit, listed))) ? uncertain(listed) : listed];
      }
      if (!isAllow(listed)) return [listed];
      const allows = others.map((other) => other.filter((unit) => isAllow(unit) && meets(unit, listed)));
      if (allows.some((matching) => matching.length === 0)) return [];
      return [allows.every((matching) => matching.some((unit) => covers(unit, listed))) ? listed : uncertain(listed)];
    }),
  );
}

/** What is left of a role's units, its own and inherited, where allows and denials meet. */
export function resolveUnits(list: UnitList, resolution: ConflictResolution): UnitList {
  const [allows, denials] = [list.filter(isAllow), list.filter((listed) => !isAllow(listed))];
  switch (resolution) {
    case 'deny':
      return list;
    case 'allow':
    case 'least_restrictive': {
      const overriding = resolution === 'allow' ? allows.filter((listed) => !asksApproval(listed)) : allows;
      const wins = (allow: Listed, denial: Listed) =>
        covers(allow, denial) ||
        (resolution === 'least_restrictive' && asksApproval(allow) && coversAsking(allow, denial));
      const kept = denials.flatMap((denial): Listed[] => {
        if (overriding.some((allow) => wins(allow, denial))) return [];
        return [overriding.some((allow) => meets(allow, denial)) ? uncertain(denial) : denial];
      });
      return [...allows, ...kept];
    }
    case 'most_restrictive': {
      const asking = allows.filter(asksApproval);
      return list.map((listed) =>
        isAllow(listed) && !asksApproval(listed) && asking.some((other) => meets(other, listed))
          ? { unit: { ...listed.unit, asks: true }, isCertain: false }
          : listed,
      );
    }
    case 'escalate':
      return list.map((listed) => {
        const against = isAllow(listed) ? denials : allows;
        if (!against.some((other) => meets(other, listed))) return listed;
        return { unit: isAllow(listed) ? { ...listed.unit, asks: true } : listed.unit, isCertain: false };
      });
    default:
      return resolution satisfies never;
  }
}

/** As `covers`, for a unit whose only question is the approval. */
function coversAsking(outer: Listed, inner: Listed): boolean {
  const { grant } = outer.unit;
  const { approvalRequired: _asked, ...permission } = grant.permission;
  const unit = { id: outer.unit.id, grant: { ...grant, permission }, action: outer.unit.action };
  return covers({ unit, isCertain: outer.isCertain && outer.unit.asks === undefined }, inner);
}
