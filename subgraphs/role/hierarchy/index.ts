export { type Bits, hasBit } from './bits.ts';
export { addEdge, buildRoleGraph, inherits, removeEdge, removeRole, saveRole } from './changes.ts';
export { findPath, type PathRules } from './paths.ts';
export { PersistentMap } from './persistentMap.ts';
export {
  type HierarchyDirection,
  type HierarchyEdge,
  type HierarchyEntry,
  type HierarchyQuery,
  type HierarchyResult,
  isRedundantEdge,
  queryHierarchy,
} from './query.ts';
export {
  defaultHierarchyLimits,
  findCycle,
  findHierarchyRefusal,
  type HierarchyLimits,
  type HierarchyRefusal,
} from './refusal.ts';
export {
  emptyRoleGraph,
  findNode,
  type HierarchyRole,
  type InheritanceEdge,
  type InheritanceType,
  isRuled,
  type ParentLink,
  type RoleGraph,
  type RoleNode,
} from './roleGraph.ts';
export {
  type ConflictResolution,
  defaultInheritanceRules,
  type InheritanceRules,
  type MergeStrategy,
} from './rules.ts';
