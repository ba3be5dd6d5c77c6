import type { CompiledCondition } from '../conditions/compile.ts';
import type { Bits } from './bits.ts';
import { PersistentMap } from './persistentMap.ts';
import type { InheritanceRules } from './rules.ts';

export type InheritanceType = 'full' | 'partial' | 'conditional';

/** What a role takes from one parent. */
export interface InheritanceEdge {
  readonly parentId: string;
  readonly type: InheritanceType;
  /** Permissions that do not pass: permission ids, or `resource:action` with `*`. */
  readonly excludedPermissions: readonly string[];
  /** Must hold for anything to pass. */
  readonly condition?: CompiledCondition;
}

/** A role as the graph sees it. */
export interface HierarchyRole {
  readonly roleId: string;
  /** In force always and everywhere: active, without lifecycle, scope or constraints. */
  readonly plain: boolean;
  /** Present where they differ from the default, under which a denial overrides and everything comes. */
  readonly rules?: InheritanceRules | undefined;
  readonly parents: readonly InheritanceEdge[];
}

export interface ParentLink {
  readonly index: number;
  readonly edge: InheritanceEdge;
}

export interface RoleNode extends HierarchyRole {
  readonly index: number;
  /** Edges in force, by id of the parent. Of the declared ones those are missing whose parent is unknown or that close a cycle. */
  readonly links: readonly ParentLink[];
  readonly children: readonly number[];
  /** This role and all its ancestors. */
  readonly up: Bits;
  /** Those reached through plain roles and full edges alone, itself included; the same object as `up` where both are equal. */
  readonly plainUp: Bits;
  /** The role or one above it has inheritance rules of its own that bear on decisions. */
  readonly ruledUp: boolean;
  /** Edges of the longest way to a root. */
  readonly depth: number;
}

/** One version of the hierarchy. Never changed: a change answers another graph that shares what it did not touch. */
export interface RoleGraph {
  readonly version: number;
  /** By dense index; freed indexes are undefined and used again. */
  readonly nodes: readonly (RoleNode | undefined)[];
  readonly indexes: PersistentMap<number>;
  readonly free: readonly number[];
  /** Roles that name a parent not known (yet), by that parent. */
  readonly waiting: PersistentMap<readonly string[]>;
  /** Roles with an edge left out because it closes a cycle. Empty unless changes arrived out of order. */
  readonly parked: readonly string[];
}

export const emptyRoleGraph: RoleGraph = {
  version: 0,
  nodes: [],
  indexes: PersistentMap.empty(),
  free: [],
  waiting: PersistentMap.empty(),
  parked: [],
};

/** True where the rules may make another decision than the default: with parents, and for more than the depth. */
export function isRuled({ rules, parents }: HierarchyRole): boolean {
  if (rules === undefined || parents.length === 0) return false;
  return rules.conflictResolution !== 'deny' || (rules.mergeStrategy !== 'union' && parents.length > 1);
}

export function findNode(graph: RoleGraph, roleId: string): RoleNode | undefined {
  const index = graph.indexes.get(roleId);
  return index === undefined ? undefined : graph.nodes[index];
}

/** @throws {Error} when no role has the index; indexes come from the graph itself. */
export function requireNode(graph: { readonly nodes: readonly (RoleNode | undefined)[] }, index: number): RoleNode {
  const node = graph.nodes[index];
  if (node === undefined) throw new Error(`expected a role at index ${index}, got none`);
  return node;
}
