import type { Config } from '#shared/config.ts';
import type { AssignmentLimits } from './decision/index.ts';
import type { HierarchyLimits } from './hierarchy/index.ts';

const dayMs = 86_400_000;

/** What a tenant's roles are held to, as configured. */
export interface RoleLimits {
  readonly hierarchy: HierarchyLimits;
  readonly assignment: AssignmentLimits;
  /** Life of an assignment that names no end. */
  readonly assignmentLifeMs: number;
  readonly delegationLifeMs: number;
  /** Denials of a subject within five minutes that are told as suspicious. */
  readonly suspiciousDenials: number;
  /** Milliseconds between two events of a kind about decisions on one subject; 0: none. */
  readonly accessNewsMs: number;
  /** Longest that a question about a permission is looked at. */
  readonly evaluationTimeoutMs: number;
}

/** Limits by environment: what is not configured is narrower in development (depth) and in production (lives, alarms). */
export function readRoleLimits(config: Config): RoleLimits {
  const depth = { development: 5, test: 10, production: 15 }[config.NODE_ENV];
  return {
    hierarchy: { maxDepth: config.ROLE_MAX_DEPTH ?? depth, maxParents: config.ROLE_MAX_PARENTS },
    assignment: {
      maxRolesPerSubject: config.ROLE_MAX_PER_SUBJECT,
      maxHoldersPerRole: config.ROLE_MAX_HOLDERS,
      passMark: config.ROLE_CAPABILITY_PASS_MARK,
    },
    assignmentLifeMs: (config.ROLE_ASSIGNMENT_DAYS ?? (config.production ? 180 : 365)) * dayMs,
    delegationLifeMs: config.ROLE_DELEGATION_DAYS * dayMs,
    suspiciousDenials: config.ROLE_SUSPICIOUS_DENIALS ?? (config.production ? 5 : 10),
    accessNewsMs: config.ROLE_ACCESS_EVENT_SECONDS * 1_000,
    evaluationTimeoutMs: config.ROLE_EVALUATION_TIMEOUT_MS ?? (config.production ? 500 : 1_000),
  };
}
