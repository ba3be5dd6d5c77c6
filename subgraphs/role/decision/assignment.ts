import type { Attributes, Constraints } from '../conditions/index.ts';
import type { CapabilityLevel, SeparationSeverity } from './role.ts';

export type AssignmentStatus = 'pending' | 'active' | 'suspended' | 'expired' | 'revoked';

/** A role held by a subject; times are epoch ms. */
export interface Assignment {
  readonly assignmentId: string;
  readonly roleId: string;
  readonly subjectId: string;
  /** Absent: everywhere. */
  readonly contextId?: string;
  readonly status: AssignmentStatus;
  /** Inclusive. */
  readonly validFromMs?: number;
  /** Exclusive. */
  readonly expiresAtMs?: number;
  readonly constraints?: Constraints;
  /** Given for a time. */
  readonly isTemporary?: true;
  /** Places, contexts or `*`, in which it is active where separation of duties lets only one of several be. */
  readonly activeIn?: readonly string[];
}

export type DelegationStatus = 'pending' | 'active' | 'suspended' | 'revoked' | 'expired';

/** Permissions that one subject lets another use as long as it holds them itself; times are epoch ms. */
export interface Delegation {
  readonly delegationId: string;
  readonly delegatorId: string;
  readonly delegateId: string;
  /** `resource:action`, with `*` and an id as third part. */
  readonly permissions: readonly string[];
  /** Only what the delegator holds by an assignment of these roles. @default all its roles */
  readonly roleIds?: readonly string[];
  /** Absent: everywhere. */
  readonly contextId?: string;
  readonly status: DelegationStatus;
  /** Not in force before it is approved. @default none needed */
  readonly approval?: 'pending' | 'approved' | 'rejected';
  /** Inclusive. */
  readonly startMs?: number;
  /** Exclusive. */
  readonly endMs?: number;
  /** Subjects it may reach one after the other: 1 is the delegate alone. @default 1 */
  readonly maxDepth?: number;
}

export interface SubjectCapability {
  readonly name: string;
  readonly level: CapabilityLevel;
  readonly verified?: boolean;
  readonly certifications?: readonly string[] | undefined;
  /** ISO 8601. */
  readonly lastUsedAt?: string | undefined;
}

export interface Subject {
  readonly subjectId: string;
  readonly attributes?: Attributes;
  readonly capabilities?: readonly SubjectCapability[];
}

/** Static separation of duties (ANSI INCITS 359): nobody may hold `limit` or more of the roles. */
export interface SeparationRule {
  readonly ruleId: string;
  readonly roleIds: readonly string[];
  readonly limit: number;
  readonly severity: SeparationSeverity;
  readonly exceptionApprovalRequired?: boolean;
  /** @default tenant */
  readonly scope?: 'tenant' | 'context';
}

/** Counts against limits and separation of duties: neither revoked nor expired. */
export function isStanding({ status }: Assignment): boolean {
  return status === 'active' || status === 'pending' || status === 'suspended';
}

/** True from `fromMs` up to, not including, `untilMs`. */
export function isWithin(timeMs: number, fromMs: number | undefined, untilMs: number | undefined): boolean {
  return (fromMs === undefined || timeMs >= fromMs) && (untilMs === undefined || timeMs < untilMs);
}

/** The first of the bounds after `timeMs`; infinity when there is none. */
export function nextBoundary(timeMs: number, bounds: readonly (number | undefined)[]): number {
  let next = Number.POSITIVE_INFINITY;
  for (const bound of bounds) if (bound !== undefined && bound > timeMs && bound < next) next = bound;
  return next;
}
