import type { Attributes, Facts, Verdict } from '../conditions/index.ts';
import type { GivenApproval } from './givenApproval.ts';
import { type Holdings, type HoldingsQuery, readHoldings } from './holdings.ts';
import { contextOf, type PermissionRequest, planOf } from './request.ts';
import type { NearMiss, Reason } from './result.ts';
import type { Snapshot, SubjectRecord } from './snapshot.ts';

/** One request against one version, and what has been found out on the way. */
export interface Evaluation {
  readonly snapshot: Snapshot;
  readonly record: SubjectRecord;
  readonly holdings: Holdings;
  readonly facts: Facts;
  /** Of the subject that asks, also where a delegator is judged. */
  readonly approvals: readonly GivenApproval[];
  /** Conditions of edges and constraints of roles, evaluated at most once. */
  readonly verdicts: Map<object, Verdict>;
  /** A time, an address or an attribute has been looked at. */
  isDynamic: boolean;
  /** The id of the resource has been looked at. */
  readsResourceId: boolean;
  /** The next time bound met. */
  untilMs: number;
  near: RankedMiss | undefined;
  readonly errors: string[];
}

export interface RankedMiss extends NearMiss {
  readonly rank: number;
}

export type ReadHoldings = (snapshot: Snapshot, record: SubjectRecord, query: HoldingsQuery) => Holdings;

const nothing: Attributes = {};

export interface EvaluationInput {
  readonly record: SubjectRecord;
  readonly request: PermissionRequest;
  readonly timeMs: number;
  /** @default those of the record */
  readonly approvals?: readonly GivenApproval[] | undefined;
  /** Only assignments of these roles. */
  readonly roleIds?: readonly string[] | undefined;
  /** @default computed anew */
  readonly readHoldings?: ReadHoldings | undefined;
}

export function openEvaluation(snapshot: Snapshot, input: EvaluationInput): Evaluation {
  const { record, request, timeMs } = input;
  const contextId = contextOf(request);
  const query = { contextId, timeMs, roleIds: input.roleIds };
  const holdings = (input.readHoldings ?? readHoldings)(snapshot, record, query);
  const stored = record.subject?.attributes;
  const given = request.subjectAttributes;
  const { action, resource, environment } = request;
  return {
    snapshot,
    record,
    holdings,
    facts: {
      subjectId: record.subjectId,
      subject: stored === undefined || given === undefined ? (stored ?? given ?? nothing) : { ...given, ...stored },
      roleClearance: holdings.clearance,
      heldRoles: holdings.roleIds,
      action,
      resourceType: resource.type,
      resourceId: resource.id,
      resource: resource.attributes ?? nothing,
      contextId,
      planId: planOf(request),
      environment: environment ?? nothing,
      timeMs,
      ip: environment?.ip,
    },
    approvals: input.approvals ?? record.approvals,
    verdicts: new Map(),
    isDynamic: false,
    readsResourceId: false,
    untilMs: holdings.untilMs,
    near: undefined,
    errors: [],
  };
}

/** How near a rule came to deciding; of equals the first by role and permission id is named. */
const ranks = { scope: 1, condition: 2, error: 3 } as const;

export function noteMiss(evaluation: Evaluation, miss: NearMiss): void {
  const rank =
    miss.reason === 'evaluation_error'
      ? ranks.error
      : miss.reason === 'scope_violation'
        ? ranks.scope
        : ranks.condition;
  const { near } = evaluation;
  if (near === undefined || rank > near.rank || (rank === near.rank && isBefore(miss, near))) {
    evaluation.near = { ...miss, rank };
  }
}

export function adoptMiss(evaluation: Evaluation, miss: RankedMiss | undefined): void {
  if (miss !== undefined && miss.rank > (evaluation.near?.rank ?? 0)) evaluation.near = miss;
}

function isBefore(left: NearMiss, right: NearMiss): boolean {
  if (left.grantingRoleId !== right.grantingRoleId) return left.grantingRoleId < right.grantingRoleId;
  return left.permissionId < right.permissionId;
}

const scopeNames = new Set(
  ['resourceTypes', 'resourceIds', 'actions', 'contextIds', 'planIds'].map((name) => `constraint.${name}`),
);

/** The reason that the name of a failing part stands for. */
export function reasonOf(failing: readonly string[], error: string | undefined): Reason {
  if (error !== undefined) return 'evaluation_error';
  const name = failing[0];
  if (name === undefined) return 'no_matching_permissions';
  if (name === 'time' || name === 'constraint.time') return 'time_restriction';
  if (name.startsWith('scope.') || scopeNames.has(name)) return 'scope_violation';
  return `condition_failed:${name}`;
}
