import { type InheritanceEdge, isRuled } from '../hierarchy/index.ts';
import type { CompiledGrant } from './compiledRole.ts';
import { indexedActions } from './compiledRole.ts';
import { type PermissionPattern, parsePermissionPattern } from './permission.ts';
import { mergeUnits, resolveUnits, type UnitList } from './ruledSets.ts';
import type { Snapshot } from './snapshot.ts';

/** One action of one permission of one role: the unit in which permissions are inherited. */
export interface GrantUnit {
  readonly id: number;
  readonly grant: CompiledGrant;
  /** An action, or `*`. */
  readonly action: string;
  /** Inheritance rules make it a matter of approval. */
  readonly asks?: true;
}

/** What a role confers, itself and by inheritance. */
export interface PermissionSet {
  /** Comes whatever the request: by plain roles and edges without condition. Conditions of the permission itself remain. */
  readonly certain: readonly GrantUnit[];
  /** Comes only where a condition, constraint, scope or lifetime on every way allows it, or in part. */
  readonly conditional: readonly GrantUnit[];
}

/** Permission sets of all roles of one version, computed when asked for and kept. */
export interface PermissionSets {
  readonly snapshot: Snapshot;
  /** Of the role at this index of the graph. */
  setOf(index: number): PermissionSet;
  /** The role's own units. */
  ownOf(index: number): readonly GrantUnit[];
}

const nothing: PermissionSet = { certain: [], conditional: [] };

/** Each role's set is joined from those of its parents, once: memoised in topological order, by recursion. */
export function createPermissionSets(snapshot: Snapshot): PermissionSets {
  const { graph, roles } = snapshot;
  const own: (readonly GrantUnit[] | undefined)[] = [];
  const sets: (PermissionSet | undefined)[] = [];
  /** The last role that took in each unit as certain, and as either. */
  const certainMark: number[] = [];
  const anyMark: number[] = [];

  const ownOf = (index: number): readonly GrantUnit[] => {
    own[index] ??= (roles[index]?.grants ?? []).flatMap((grant) =>
      indexedActions(grant.permission).map((action) => {
        anyMark.push(0);
        return { id: certainMark.push(0) - 1, grant, action };
      }),
    );
    return own[index];
  };

  const compute = (index: number): PermissionSet => {
    const node = graph.nodes[index];
    if (node === undefined || !roles[index]!.hasForce) return nothing;
    const parents = node.links.map((link) => ({ edge: link.edge, set: setOf(link.index) }));
    if (isRuled(node)) return computeRuled(index, parents);
    const only = parents[0];
    if (parents.length <= 1 && node.plain && (only === undefined || only.edge.type === 'full')) {
      // One whole parent: nothing can come twice.
      const inherited = only?.set ?? nothing;
      const mine = ownOf(index);
      if (mine.length === 0) return inherited;
      return { certain: [...mine, ...inherited.certain], conditional: inherited.conditional };
    }
    const certain: GrantUnit[] = [];
    const conditional: GrantUnit[] = [];
    const mark = index + 1;
    const take = (unit: GrantUnit, isCertain: boolean): void => {
      if (isCertain) {
        if (certainMark[unit.id] === mark) return;
        certainMark[unit.id] = mark;
        certain.push(unit);
      } else if (anyMark[unit.id] !== mark) {
        anyMark[unit.id] = mark;
        conditional.push(unit);
      }
    };
    for (const unit of ownOf(index)) take(unit, node.plain);
    for (const { edge, set } of parents) {
      const passage = createPassage(edge);
      for (const unit of set.certain) {
        const passes = passage(unit);
        if (passes !== 'no') take(unit, node.plain && passes === 'whole');
      }
      for (const unit of set.conditional) if (passage(unit) !== 'no') take(unit, false);
    }
    return { certain, conditional: conditional.filter((unit) => certainMark[unit.id] !== mark) };
  };

  /** By the role's own rules; what they leave to the request is conditional. */
  const computeRuled = (
    index: number,
    parents: readonly { readonly edge: InheritanceEdge; readonly set: PermissionSet }[],
  ): PermissionSet => {
    const node = graph.nodes[index]!;
    const rules = node.rules!;
    const byPriority = node.parents.flatMap(
      ({ parentId }) => parents.find(({ edge }) => edge.parentId === parentId) ?? [],
    );
    const lists = byPriority.map(({ edge, set }): UnitList => {
      const passage = createPassage(edge);
      return [
        ...set.certain.flatMap((unit) => {
          const passes = passage(unit);
          return passes === 'no' ? [] : [{ unit, isCertain: passes === 'whole' }];
        }),
        ...set.conditional.flatMap((unit) => (passage(unit) === 'no' ? [] : [{ unit, isCertain: false }])),
      ];
    });
    const inherited = mergeUnits(lists, rules.mergeStrategy);
    const own = ownOf(index).map((unit) => ({ unit, isCertain: true }));
    // The role's constraints keep allows back before they meet denials: an allow that may be kept back wins over none.
    const present = [...own, ...inherited].map((listed) =>
      node.plain || listed.unit.grant.permission.effect === 'deny' ? listed : { ...listed, isCertain: false },
    );
    const resolved = resolveUnits(present, rules.conflictResolution);
    const certain = resolved.filter(({ isCertain }) => isCertain && node.plain).map(({ unit }) => unit);
    const taken = new Set(certain.map(({ id }) => id));
    const conditional = new Map<number, GrantUnit>();
    for (const { unit } of resolved) if (!taken.has(unit.id)) conditional.set(unit.id, unit);
    return {
      certain: [...new Map(certain.map((unit) => [unit.id, unit])).values()],
      conditional: [...conditional.values()],
    };
  };

  const setOf = (index: number): PermissionSet => {
    sets[index] ??= compute(index);
    return sets[index];
  };
  return { snapshot, setOf, ownOf };
}

/** The sets of another version: what is computed of the one stays where roles and their graph are the same. */
export function carryPermissionSets(sets: PermissionSets, snapshot: Snapshot): PermissionSets {
  if (sets.snapshot === snapshot) return sets;
  const { graph, roles } = sets.snapshot;
  return graph === snapshot.graph && roles === snapshot.roles ? { ...sets, snapshot } : createPermissionSets(snapshot);
}

export type Passage = 'whole' | 'maybe' | 'no';

/** How an edge lets units pass. An exclusion that takes in part of a unit (`plan:update` of `plan:*`) makes it a maybe. */
export function createPassage(edge: InheritanceEdge): (unit: GrantUnit) => Passage {
  const otherwise = edge.condition === undefined ? 'whole' : 'maybe';
  if (edge.excludedPermissions.length === 0) return () => otherwise;
  const ids = new Set(edge.excludedPermissions);
  const patterns = edge.excludedPermissions.map(parsePermissionPattern).filter((pattern) => pattern !== undefined);
  return ({ grant, action }) => {
    if (ids.has(grant.permission.permissionId)) return 'no';
    let passage: Passage = otherwise;
    for (const pattern of patterns) {
      const unit = { resourceType: grant.permission.resourceType, action, resourceId: grant.resourceId };
      if (includesPattern(pattern, unit)) return 'no';
      if (overlaps(pattern, unit)) passage = 'maybe';
    }
    return passage;
  };
}

/** True when everything that `inner` takes in, `outer` does. */
export function includesPattern(outer: PermissionPattern, inner: PermissionPattern): boolean {
  return (
    (outer.resourceType === '*' || outer.resourceType === inner.resourceType) &&
    (outer.action === '*' || outer.action === inner.action) &&
    (outer.resourceId === undefined || outer.resourceId === inner.resourceId)
  );
}

/** True when some request is taken in by both. */
export function overlaps(left: PermissionPattern, right: PermissionPattern): boolean {
  const meet = (a: string, b: string) => a === '*' || b === '*' || a === b;
  return (
    meet(left.resourceType, right.resourceType) &&
    meet(left.action, right.action) &&
    meet(left.resourceId ?? '*', right.resourceId ?? '*')
  );
}

export function patternOf({ grant, action }: GrantUnit): PermissionPattern {
  return { resourceType: grant.permission.resourceType, action, resourceId: grant.resourceId };
}

/** Applies to all that its pattern takes in, at any time, without question. */
export function isUnconditional({ grant, action, asks: isAsked }: GrantUnit): boolean {
  const { approvalRequired, validFromMs, expiresAtMs } = grant.permission;
  const { forActions } = approvalRequired ?? {};
  const asks =
    approvalRequired !== undefined && (forActions === undefined || action === '*' || forActions.includes(action));
  return (
    grant.isStatic &&
    grant.contextIds === undefined &&
    grant.planIds === undefined &&
    validFromMs === undefined &&
    expiresAtMs === undefined &&
    !asks &&
    isAsked === undefined
  );
}
