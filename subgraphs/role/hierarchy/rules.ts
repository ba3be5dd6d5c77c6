/** How what comes from several parents becomes one. */
export type MergeStrategy = 'union' | 'intersection' | 'priority';

/** What holds where an allow and a denial meet in a role, its own or inherited. */
export type ConflictResolution = 'deny' | 'allow' | 'escalate' | 'most_restrictive' | 'least_restrictive';

export interface InheritanceRules {
  readonly mergeStrategy: MergeStrategy;
  readonly conflictResolution: ConflictResolution;
  /** Edges of the longest chain above the role; a deeper hierarchy is refused. 1 to 10. */
  readonly maxDepth: number;
}

export const defaultInheritanceRules: InheritanceRules = {
  mergeStrategy: 'union',
  conflictResolution: 'deny',
  maxDepth: 10,
};
