import { z } from 'zod';
import { parseInput } from '#shared/validation.ts';
import {
  type CapabilityMatch,
  createPermissionSets,
  judgeAssignment,
  listCapabilities,
  listRequiredCapabilities,
  matchCapabilities,
} from './decision/index.ts';
import { compareText } from './hierarchy/order.ts';
import * as inputs from './inputs.ts';
import type { RoleLimits } from './limits.ts';
import type { RoleReplicas } from './replicas.ts';

const maxFound = 100;
const first = z.number().int().min(1).max(maxFound);
const required = z.array(inputs.requiredCapability).min(1).max(50);

export interface CapableSubjectFound {
  readonly subjectId: string;
  readonly score: number;
  readonly gaps: CapabilityMatch['gaps'];
}

export interface RecommendedRole {
  readonly roleId: string;
  readonly score: number;
  readonly capabilityScore: number | null;
  readonly peerShare: number;
}

/** What subjects can do, and which roles that speaks for. */
export function createCapabilities(replicas: RoleReplicas, { assignment: limits }: RoleLimits) {
  const replicaOf = (tenantId: string) => replicas.peek(tenantId) ?? replicas.load(tenantId);

  return {
    async ofSubject(tenantId: string, id: string) {
      const subjectId = parseInput(inputs.subjectId, id, ['subjectId']);
      const replica = await replicaOf(tenantId);
      const record = replica.snapshot.subjects.get(subjectId);
      if (record === undefined) return null;
      const active = record.assignments.filter(({ row }) => row.status === 'active').map(({ row }) => row.roleId);
      const tags = new Set(active.flatMap((roleId) => listCapabilities(replica.sets(), roleId)));
      return { subjectId, capabilities: record.subject?.capabilities ?? [], tags: [...tags].sort(compareText) };
    },

    /** All subjects with recorded capabilities, best first; of equals the first by id. */
    async find(
      tenantId: string,
      raw: unknown,
      { minScore, limit }: { minScore: number; limit: number },
    ): Promise<CapableSubjectFound[]> {
      const wanted = parseInput(required, raw, ['capabilities']);
      const count = parseInput(first, limit, ['first']);
      const { snapshot } = await replicaOf(tenantId);
      const found: CapableSubjectFound[] = [];
      for (const { subjectId, subject } of snapshot.subjects.values()) {
        if (subject?.capabilities === undefined || subject.capabilities.length === 0) continue;
        const { score, gaps } = matchCapabilities(wanted, subject.capabilities, minScore);
        if (score >= minScore && score > 0) found.push({ subjectId, score, gaps });
      }
      found.sort((one, two) => two.score - one.score || compareText(one.subjectId, two.subjectId));
      return found.slice(0, count);
    },

    /**
     * Collaborative filtering beside the capabilities: peers are weighted by the Jaccard similarity of the roles held
     * (Jaccard, 1901), a role's share is the weight of the peers that hold it.
     */
    async recommend(
      tenantId: string,
      id: string,
      { contextId, limit }: { contextId: string | null | undefined; limit: number },
    ): Promise<RecommendedRole[]> {
      const subjectId = parseInput(inputs.subjectId, id, ['subjectId']);
      const count = parseInput(first, limit, ['first']);
      const { snapshot } = await replicaOf(tenantId);
      const sets = createPermissionSets(snapshot);
      const rolesOf = (rows: readonly { readonly row: { readonly status: string; readonly roleId: string } }[]) =>
        new Set(rows.filter(({ row }) => row.status === 'active').map(({ row }) => row.roleId));
      const record = snapshot.subjects.get(subjectId);
      const held = rolesOf(record?.assignments ?? []);
      const weights = new Map<string, number>();
      let total = 0;
      for (const peer of snapshot.subjects.values()) {
        if (peer.subjectId === subjectId || held.size === 0) continue;
        const others = rolesOf(peer.assignments);
        const common = [...others].filter((roleId) => held.has(roleId)).length;
        if (common === 0) continue;
        const similarity = common / (held.size + others.size - common);
        total += similarity;
        for (const roleId of others) weights.set(roleId, (weights.get(roleId) ?? 0) + similarity);
      }
      const timeMs = Date.now();
      const place = contextId == null ? {} : { contextId };
      const found: RecommendedRole[] = [];
      for (const compiled of snapshot.roles) {
        if (compiled === undefined || held.has(compiled.role.roleId) || compiled.role.status !== 'active') continue;
        const { roleId } = compiled.role;
        const capabilityProfiles = listRequiredCapabilities(snapshot, roleId);
        const capabilityScore =
          capabilityProfiles.length === 0
            ? null
            : matchCapabilities(capabilityProfiles, record?.subject?.capabilities ?? []).score;
        const peerShare = total === 0 ? 0 : (weights.get(roleId) ?? 0) / total;
        const score = capabilityScore === null ? peerShare : (capabilityScore + peerShare) / 2;
        if (score === 0 || judgeAssignment(sets, { roleId, subjectId, timeMs, ...place }, limits).refusals.length > 0)
          continue;
        found.push({ roleId, score, capabilityScore, peerShare });
      }
      found.sort((one, two) => two.score - one.score || compareText(one.roleId, two.roleId));
      return found.slice(0, count);
    },
  };
}
