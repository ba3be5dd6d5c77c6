import type { CompiledConstraints } from '../conditions/index.ts';
import { type Bits, hasBit } from '../hierarchy/bits.ts';
import type { RoleGraph } from '../hierarchy/index.ts';
import type { Assignment } from './assignment.ts';
import type { CompiledRole } from './compiledRole.ts';
import type { Holding } from './holdings.ts';

/** Stands in `activeIn` for every place in which nothing else is chosen. */
export const everywhere = '*';

/** Two roles that may be held together and be active in one place only one at a time. */
export interface DynamicPair {
  readonly roleIds: readonly [string, string];
}

/** By the very list of roles, which is replaced with every change of one. */
const known = new WeakMap<readonly (CompiledRole | undefined)[], readonly DynamicPair[]>();

export function listDynamicPairs(roles: readonly (CompiledRole | undefined)[]): readonly DynamicPair[] {
  let pairs = known.get(roles);
  if (pairs === undefined) {
    pairs = roles.flatMap((compiled) =>
      (compiled?.role.separationOfDuties ?? []).flatMap(({ kind, conflictingRoles }) =>
        kind === 'dynamic'
          ? conflictingRoles.map((other): DynamicPair => ({ roleIds: [compiled!.role.roleId, other] }))
          : [],
      ),
    );
    known.set(roles, pairs);
  }
  return pairs;
}

/** Whether a closure takes in both roles of some pair: then what is active decides, place by place. */
export function hasDynamicPair(
  { graph, roles }: { readonly graph: RoleGraph; readonly roles: readonly (CompiledRole | undefined)[] },
  up: Bits,
): boolean {
  return listDynamicPairs(roles).some(({ roleIds }) =>
    roleIds.every((roleId) => {
      const index = graph.indexes.get(roleId);
      return index !== undefined && hasBit(up, index);
    }),
  );
}

type Held = Pick<Holding, 'index' | 'assignment'>;

/**
 * Dynamic separation of duties (ANSI INCITS 359, DSD) with a context as the session: of roles that are separated so and
 * held together in a place, those give something that were activated there, or where none was, everywhere; the others
 * stay inactive. Active ones that are separated all the same, by a later change of roles, are inactive all of them.
 */
export function findInactive<T extends Held>(
  { graph, roles }: { readonly graph: RoleGraph; readonly roles: readonly (CompiledRole | undefined)[] },
  holdings: readonly T[],
  contextId: string | undefined,
): ReadonlySet<T> {
  const inactive = new Set<T>();
  if (holdings.length === 0) return inactive;
  for (const { roleIds } of listDynamicPairs(roles)) {
    const sides = roleIds.map((roleId) => {
      const target = graph.indexes.get(roleId);
      if (target === undefined) return [];
      return holdings.filter(({ index }) => hasBit(graph.nodes[index]!.up, target));
    });
    if (sides.some((side) => side.length === 0)) continue;
    const concerned = [...new Set(sides.flat())];
    const chosen = chooseActive(concerned, contextId);
    const isSeparated = sides.every((side) => side.some((holding) => chosen.includes(holding)));
    for (const holding of concerned) if (isSeparated || !chosen.includes(holding)) inactive.add(holding);
  }
  return inactive;
}

function chooseActive<T extends Held>(concerned: readonly T[], contextId: string | undefined): readonly T[] {
  const activeIn = (place: string) => concerned.filter(({ assignment }) => isActiveIn(assignment, place));
  const here = contextId === undefined ? [] : activeIn(contextId);
  return here.length > 0 ? here : activeIn(everywhere);
}

export function isActiveIn({ activeIn }: Pick<Assignment, 'activeIn'>, place: string): boolean {
  return activeIn?.includes(place) === true;
}

const part = { name: 'separation.inactive', test: () => false };

/** Lets nothing through that is allowed: denials of a role that is not active count nevertheless. */
export function withoutForce(constraints: CompiledConstraints | undefined): CompiledConstraints {
  return {
    parts: [part, ...(constraints?.parts ?? [])],
    limits: constraints?.limits ?? [],
    isStatic: constraints?.isStatic ?? true,
  };
}

/** Of the others those that some pair separates from it. */
export function listConflicting<T extends Pick<Assignment, 'roleId' | 'assignmentId'>>(
  { graph, roles }: { readonly graph: RoleGraph; readonly roles: readonly (CompiledRole | undefined)[] },
  { id, roleId }: { readonly id: string; readonly roleId: string },
  others: readonly T[],
): readonly T[] {
  const reaches = (from: string, to: string): boolean => {
    const [below, above] = [graph.indexes.get(from), graph.indexes.get(to)];
    return below !== undefined && above !== undefined && hasBit(graph.nodes[below]!.up, above);
  };
  const pairs = listDynamicPairs(roles);
  return others.filter(
    (other) =>
      other.assignmentId !== id &&
      pairs.some(
        ({ roleIds: [one, two] }) =>
          (reaches(roleId, one) && reaches(other.roleId, two)) || (reaches(roleId, two) && reaches(other.roleId, one)),
      ),
  );
}
