import { listBits } from '../hierarchy/bits.ts';
import { orderRegion } from '../hierarchy/closure.ts';
import { findNode } from '../hierarchy/index.ts';
import { compareText } from '../hierarchy/order.ts';
import { type DecideOptions, decide, defaultDecideOptions } from './decide.ts';
import { findEntries } from './grantIndex.ts';
import type { PermissionRequest } from './request.ts';
import type { Decision } from './result.ts';
import type { Snapshot } from './snapshot.ts';
import { toDecision } from './toDecision.ts';

export interface RoleHolders {
  /** Subjects with a standing assignment of the role. */
  readonly direct: readonly string[];
  /** Those who hold it only through a role below. */
  readonly inherited: readonly string[];
}

export function listHolders(snapshot: Snapshot, roleId: string): RoleHolders {
  const direct = new Set(snapshot.holders.get(roleId)?.values());
  const node = findNode(snapshot.graph, roleId);
  const below = node === undefined ? [] : orderRegion(snapshot.graph, [node.index]);
  const inherited = new Set<string>();
  for (const index of below) {
    const name = snapshot.graph.nodes[index]!.roleId;
    for (const subjectId of snapshot.holders.get(name)?.values() ?? []) {
      if (!direct.has(subjectId)) inherited.add(subjectId);
    }
  }
  return { direct: [...direct].sort(compareText), inherited: [...inherited].sort(compareText) };
}

export interface PermissionHolder {
  readonly subjectId: string;
  readonly decision: Decision;
}

export interface HoldersQuery {
  /** All but the subject. */
  readonly request: Omit<PermissionRequest, 'subjectId'>;
  readonly timeMs: number;
  /** @default all */
  readonly limit?: number;
  readonly options?: DecideOptions;
}

/**
 * Subjects to whom the request would be granted, or granted after an approval, by id. Those who may come into question
 * hold a role at or below one with such a permission, or were delegated by one who does; each of them is then asked.
 */
export function listSubjectsWithPermission(snapshot: Snapshot, query: HoldersQuery): PermissionHolder[] {
  const { request, timeMs, limit = Number.POSITIVE_INFINITY, options = defaultDecideOptions } = query;
  const found: PermissionHolder[] = [];
  for (const subjectId of listCandidates(snapshot, request)) {
    if (found.length >= limit) break;
    const decision = toDecision(decide(snapshot, { request: { ...request, subjectId }, timeMs, options }));
    if (decision.decision !== 'DENY') found.push({ subjectId, decision });
  }
  return found;
}

function listCandidates(snapshot: Snapshot, { resource, action }: HoldersQuery['request']): string[] {
  const granting = new Set<number>();
  for (const entry of findEntries(snapshot.index, resource.type, action)) {
    for (const index of listBits(entry.allow)) granting.add(index);
  }
  const subjects = new Set<string>();
  for (const index of orderRegion(snapshot.graph, granting)) {
    for (const subjectId of snapshot.holders.get(snapshot.graph.nodes[index]!.roleId)?.values() ?? []) {
      subjects.add(subjectId);
    }
  }
  // A Set goes on to what is added while it is walked: delegates of delegates are found too.
  for (const subjectId of subjects) {
    for (const { delegateId } of snapshot.subjects.get(subjectId)?.outgoing ?? []) subjects.add(delegateId);
  }
  return [...subjects].sort(compareText);
}
