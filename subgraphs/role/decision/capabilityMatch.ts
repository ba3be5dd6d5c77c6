import { listBits } from '../hierarchy/bits.ts';
import { findNode } from '../hierarchy/index.ts';
import { compareText } from '../hierarchy/order.ts';
import type { SubjectCapability } from './assignment.ts';
import type { CapabilityLevel, RequiredCapability } from './role.ts';
import type { Snapshot } from './snapshot.ts';

/** Lowest first; a level counts its place from 1. */
export const capabilityLevels = ['beginner', 'intermediate', 'advanced', 'expert', 'master'] as const;

export interface CapabilityMatch {
  /** 0 to 1: mean of level held over level required, at most 1 each, by weight. */
  readonly score: number;
  readonly passes: boolean;
  readonly gaps: readonly {
    readonly name: string;
    readonly required: CapabilityLevel;
    /** Undefined when the subject lacks it. */
    readonly held: CapabilityLevel | undefined;
  }[];
}

export const defaultPassMark = 0.8;

/** Weighted level ratio. A role that requires nothing is matched in full. */
export function matchCapabilities(
  required: readonly RequiredCapability[],
  held: readonly SubjectCapability[],
  passMark = defaultPassMark,
): CapabilityMatch {
  const highest = new Map<string, CapabilityLevel>();
  for (const { name, level } of held) {
    const known = highest.get(name);
    if (known === undefined || rankLevel(level) > rankLevel(known)) highest.set(name, level);
  }
  let total = 0;
  let reached = 0;
  const gaps: CapabilityMatch['gaps'][number][] = [];
  for (const { name, level, weight = 1 } of required) {
    const own = highest.get(name);
    const ratio = own === undefined ? 0 : Math.min(1, rankLevel(own) / rankLevel(level));
    total += weight;
    reached += weight * ratio;
    if (ratio < 1) gaps.push({ name, required: level, held: own });
  }
  const score = total > 0 ? reached / total : 1;
  return { score, passes: score >= passMark, gaps };
}

function rankLevel(level: CapabilityLevel): number {
  return capabilityLevels.indexOf(level) + 1;
}

/** What a role asks for with all above it: of each capability the highest level and the greatest weight, by name. */
export function listRequiredCapabilities({ graph, roles }: Snapshot, roleId: string): readonly RequiredCapability[] {
  const node = findNode(graph, roleId);
  const merged = new Map<string, RequiredCapability>();
  for (const index of node === undefined ? [] : listBits(node.up)) {
    for (const { name, level, weight = 1 } of roles[index]?.role.capabilityProfiles ?? []) {
      const known = merged.get(name);
      const highest = known === undefined || rankLevel(level) > rankLevel(known.level) ? level : known.level;
      merged.set(name, { name, level: highest, weight: Math.max(weight, known?.weight ?? 0) });
    }
  }
  return [...merged.values()].sort((left, right) => compareText(left.name, right.name));
}
