import { listBits, unionBits } from '../hierarchy/bits.ts';
import { isWithin } from './assignment.ts';
import { readHoldings } from './holdings.ts';
import { findScopeMiss } from './reach.ts';
import type { Snapshot } from './snapshot.ts';

export interface RoleNamesQuery {
  readonly subjectId: string;
  readonly contextId: string;
  readonly timeMs: number;
}

/**
 * Roles that a subject has in a context, by id and by name: those it holds there or everywhere, in force now, with all
 * that they inherit. A role whose scope leaves the context out is not among them.
 */
export function listRoleNames(snapshot: Snapshot, { subjectId, contextId, timeMs }: RoleNamesQuery): string[] {
  const record = snapshot.subjects.get(subjectId);
  if (record === undefined) return [];
  const { all } = readHoldings(snapshot, record, { contextId, timeMs });
  const up = unionBits(
    all.filter(({ isInactive }) => isInactive !== true).map(({ index }) => snapshot.graph.nodes[index]!.up),
  );
  return listBits(up).flatMap((index) => {
    const compiled = snapshot.roles[index];
    if (compiled === undefined || !compiled.hasForce) return [];
    const { role } = compiled;
    if (!isWithin(timeMs, role.effectiveMs, role.expirationMs)) return [];
    if (findScopeMiss({ contextIds: compiled.contextIds, planIds: undefined }, contextId, undefined)) return [];
    return [role.roleId, role.name];
  });
}
