import { evaluateParts } from '../conditions/index.ts';
import type { ConflictResolution, RoleNode } from '../hierarchy/index.ts';
import { defaultInheritanceRules, isRuled } from '../hierarchy/index.ts';
import { compareText } from '../hierarchy/order.ts';
import { type Candidate, findCandidatesAmong, judgeCandidate } from './candidates.ts';
import type { Evaluation } from './evaluation.ts';
import type { IndexEntry } from './grantIndex.ts';
import type { Holding } from './holdings.ts';
import { demandsApproval } from './permission.ts';
import { judgeEdge, judgeRole } from './reach.ts';

/** What a rule says of the request: `undecided` is a denial that can neither be affirmed nor ruled out. */
export type Stand = 'deny' | 'undecided' | 'escalated' | 'permit' | 'approval';

/** A rule that comes through to a role, by the shortest way found. */
export interface Survivor {
  readonly stand: Stand;
  readonly candidate: Candidate;
  /** Indexes in the graph, from the role asked to the one that has the rule. */
  readonly path: readonly number[];
  /** Of what is escalated: the denial that the allow has met. */
  readonly denial?: Survivor;
}

const isAllowing = ({ stand }: Survivor): boolean => stand === 'permit' || stand === 'approval';
const isDenying = ({ stand }: Survivor): boolean => stand === 'deny' || stand === 'undecided';

/**
 * What a holding with inheritance rules in its closure says of the request. Every role takes what its parents say, merges
 * it by its strategy, adds its own rules, and resolves what conflicts; so rules bear on what comes through their role and
 * on nothing that the subject holds otherwise. Under the default rules throughout, the outcome is that of deny-overrides
 * over the whole closure.
 */
export function findSurvivors(
  evaluation: Evaluation,
  holding: Holding,
  entries: readonly IndexEntry[],
): readonly Survivor[] {
  const { snapshot } = evaluation;
  const { up } = snapshot.graph.nodes[holding.index]!;
  const byRole = Map.groupBy(
    [
      ...findCandidatesAmong(evaluation, { effect: 'deny', up, entries }),
      ...findCandidatesAmong(evaluation, { effect: 'allow', up, entries }),
    ],
    ({ grant }) => grant.roleId,
  );
  const known = new Map<number, readonly Survivor[]>();
  const visit = (index: number): readonly Survivor[] => {
    const found = known.get(index) ?? survive(evaluation, snapshot.graph.nodes[index]!, { byRole, visit });
    known.set(index, found);
    return found;
  };
  const survivors = visit(holding.index);
  if (holding.constraints === undefined) return survivors;
  if (!holding.constraints.isStatic) evaluation.isDynamic = true;
  evaluation.readsResourceId = true;
  const { failing, error } = evaluateParts(holding.constraints.parts, evaluation.facts);
  return failing.length === 0 && error === undefined ? survivors : withoutAllows(survivors);
}

interface Visit {
  readonly byRole: ReadonlyMap<string, readonly Candidate[]>;
  visit(index: number): readonly Survivor[];
}

function survive(evaluation: Evaluation, node: RoleNode, { byRole, visit }: Visit): readonly Survivor[] {
  const rules = (isRuled(node) ? node.rules : undefined) ?? defaultInheritanceRules;
  if (!node.plain && judgeRole(evaluation, node, false).failing.length > 0) return [];
  const own = (byRole.get(node.roleId) ?? []).flatMap((candidate): Survivor[] => {
    const stand = standOf(evaluation, candidate);
    return stand === undefined ? [] : [{ stand, candidate, path: [node.index] }];
  });
  // In the declared order, which is that of their priority; links stand by id.
  const lists = node.parents.flatMap(({ parentId }) => {
    const link = node.links.find(({ edge }) => edge.parentId === parentId);
    if (link === undefined) return [];
    const passed = visit(link.index).flatMap((survivor) => {
      const { permission: own } = survivor.candidate.grant;
      // A conflict is of several permissions: no exclusion of one by its id takes it away.
      const permission = survivor.denial === undefined ? own : { ...own, permissionId: '' };
      const verdict = link.edge.type === 'full' ? passing : judgeEdge(evaluation, link, permission);
      return passOn(survivor, { at: node.index, verdict });
    });
    return [passed];
  });
  let inherited = merge(lists, rules.mergeStrategy);
  let mine = own;
  if (!node.plain) {
    const { failing, error } = judgeRole(evaluation, node, true);
    if (failing.length > 0 || error !== undefined) {
      inherited = withoutAllows(inherited);
      mine = withoutAllows(mine);
    }
  }
  return resolve(nearest([...mine, ...inherited]), rules.conflictResolution);
}

/** Each rule once for each stand, by its shortest way: a lattice of parents has more ways than can be kept. */
function nearest(survivors: readonly Survivor[]): Survivor[] {
  const best = new Map<Candidate, Map<Stand, Survivor>>();
  for (const survivor of survivors) {
    const stands = best.get(survivor.candidate) ?? new Map<Stand, Survivor>();
    best.set(survivor.candidate, stands);
    const known = stands.get(survivor.stand);
    if (known === undefined || survivor.path.length < known.path.length) stands.set(survivor.stand, survivor);
  }
  return [...best.values()].flatMap((stands) => [...stands.values()]);
}

const passing = { failing: [], error: undefined };

function standOf(evaluation: Evaluation, candidate: Candidate): Stand | undefined {
  const { permission } = candidate.grant;
  const kind = judgeCandidate(evaluation, candidate);
  if (permission.effect === 'deny') return kind === 'applies' ? 'deny' : kind === 'undecided' ? 'undecided' : undefined;
  if (kind !== 'applies') return undefined;
  return demandsApproval(permission, evaluation.facts.action) ? 'approval' : 'permit';
}

interface Passing {
  readonly at: number;
  readonly verdict: { readonly failing: readonly string[]; readonly error: string | undefined };
}

/** An edge that cannot be decided keeps allows back and makes denials undecided. */
function passOn(survivor: Survivor, { at, verdict }: Passing): Survivor[] {
  const { denial } = survivor;
  if (verdict.failing.length > 0) return [];
  const path = [at, ...survivor.path];
  if (verdict.error === undefined) {
    return [
      { ...survivor, path, ...(denial === undefined ? {} : { denial: { ...denial, path: [at, ...denial.path] } }) },
    ];
  }
  if (isAllowing(survivor)) return [];
  const kept = denial ?? survivor;
  return [{ stand: 'undecided', candidate: kept.candidate, path: [at, ...kept.path] }];
}

/** What is left when no allow counts: of a conflict, its denial. */
function withoutAllows(survivors: readonly Survivor[]): Survivor[] {
  return survivors.flatMap((survivor) => (isAllowing(survivor) ? [] : [survivor.denial ?? survivor]));
}

function merge(
  lists: readonly (readonly Survivor[])[],
  strategy: 'union' | 'intersection' | 'priority',
): readonly Survivor[] {
  switch (strategy) {
    case 'union':
      return lists.flat();
    case 'priority':
      return lists.find((list) => list.length > 0) ?? [];
    case 'intersection': {
      if (lists.length < 2) return lists.flat();
      const isShared = lists.every((list) => list.some((survivor) => !isDenying(survivor)));
      if (!isShared) return withoutAllows(lists.flat());
      // Where one of them gives it after an approval only, all of them do no more than that.
      const asks = lists.some((list) => list.some(isAllowing) && !list.some(({ stand }) => stand === 'permit'));
      return lists.flat().filter(({ stand }) => !asks || stand !== 'permit');
    }
    default:
      return strategy satisfies never;
  }
}

function resolve(survivors: readonly Survivor[], resolution: ConflictResolution): readonly Survivor[] {
  const isMet =
    survivors.some((survivor) => !isAllowing(survivor)) && survivors.some((survivor) => !isDenying(survivor));
  switch (resolution) {
    case 'deny':
      return survivors;
    case 'allow':
      return survivors.some(({ stand }) => stand === 'permit') ? survivors.filter(isAllowing) : survivors;
    case 'least_restrictive':
      return survivors.some(isAllowing) ? survivors.filter(isAllowing) : survivors;
    case 'most_restrictive': {
      const asks = survivors.some(({ stand }) => stand === 'approval' || stand === 'escalated');
      return asks ? survivors.filter(({ stand }) => stand !== 'permit') : survivors;
    }
    case 'escalate': {
      if (!isMet) return survivors;
      const [known] = inOrder(survivors.filter(({ stand }) => stand === 'escalated'));
      if (known !== undefined) return [known];
      const [allowance] = inOrder(survivors.filter(isAllowing));
      const [denial] = inOrder(survivors.filter(isDenying));
      return [{ ...allowance!, stand: 'escalated', denial: denial! }];
    }
    default:
      return resolution satisfies never;
  }
}

const order: readonly Stand[] = ['deny', 'undecided', 'escalated', 'permit', 'approval'];

/** As they are named: what decides first, then the nearest, then by role and permission. */
export function inOrder(survivors: readonly Survivor[]): Survivor[] {
  return [...survivors].sort(
    (left, right) =>
      order.indexOf(left.stand) - order.indexOf(right.stand) ||
      left.path.length - right.path.length ||
      compareText(left.candidate.grant.roleId, right.candidate.grant.roleId) ||
      compareText(left.candidate.grant.permission.permissionId, right.candidate.grant.permission.permissionId),
  );
}
