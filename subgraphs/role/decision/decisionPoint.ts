import { createLru } from '#shared/lru.ts';
import { type DecideInput, type DecideOptions, decide, defaultDecideOptions } from './decide.ts';
import type { ReadHoldings } from './evaluation.ts';
import { type Holdings, readHoldings } from './holdings.ts';
import { contextOf, type PermissionRequest, planOf } from './request.ts';
import type { Decision } from './result.ts';
import type { Snapshot, SubjectRecord } from './snapshot.ts';
import { EvaluationTimeout, timedOut } from './timeout.ts';
import { toDecision } from './toDecision.ts';

export interface DecisionPointDeps {
  /** The newest version of the tenant. */
  readonly readSnapshot: () => Snapshot;
  /** Epoch ms. @default Date.now */
  readonly now?: () => number;
  readonly options?: Partial<DecideOptions>;
  /** Decisions kept. @default 100,000 */
  readonly maxDecisions?: number;
  /** Subjects whose roles are kept read. @default 10,000 */
  readonly maxSubjects?: number;
}

export interface BatchDecision {
  readonly decisions: readonly Decision[];
  /** `full` when all are granted, `none` when all are denied. */
  readonly overallAccess: 'full' | 'partial' | 'none';
  readonly snapshotVersion: number;
}

export interface DecisionPointStats {
  readonly checks: number;
  /** Answered from the cache. */
  readonly hits: number;
  readonly decisionsKept: number;
  readonly subjectsKept: number;
}

/** Decides for one tenant, in memory, synchronously. */
export interface DecisionPoint {
  /** @param deadlineMs time of `performance.now()` past which the answer is `evaluation_timeout` */
  checkPermission(request: PermissionRequest, deadlineMs?: number): Decision;
  /** All against one version. */
  checkPermissions(requests: readonly PermissionRequest[]): BatchDecision;
  stats(): DecisionPointStats;
}

/** Good for the very record and policy it was made from, whose versions are their identity. */
interface Kept<T> {
  readonly record: SubjectRecord | undefined;
  readonly policy: object;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly value: T;
}

export function createDecisionPoint(deps: DecisionPointDeps): DecisionPoint {
  const { readSnapshot, now = Date.now } = deps;
  const options: DecideOptions = { ...defaultDecideOptions, ...deps.options };
  /** By all names but the resource's id; null where that has a part in it: then also by the id. */
  const decisions = createLru<Kept<Decision | null>>(deps.maxDecisions ?? 100_000);
  const holdings = createLru<Kept<Holdings>>(deps.maxSubjects ?? 10_000);
  let checks = 0;
  let hits = 0;

  const readKeptHoldings: ReadHoldings = (snapshot, record, query) => {
    const key = `${record.subjectId}\0${query.contextId ?? ''}`;
    const kept = holdings.get(key);
    if (kept !== undefined && isGood(kept, { record, policy: snapshot.policy, timeMs: query.timeMs }))
      return kept.value;
    const value = readHoldings(snapshot, record, query);
    const { fromMs, untilMs } = value;
    holdings.set(key, { record, policy: snapshot.policy, fromMs, untilMs, value });
    return value;
  };

  function findDecision(key: string, request: PermissionRequest, asked: Asked): Decision | undefined {
    let kept = decisions.get(key);
    if (kept?.value === null) kept = decisions.get(keyWithId(key, request));
    return kept !== undefined && isGood(kept, asked) ? (kept.value ?? undefined) : undefined;
  }

  const check = (snapshot: Snapshot, request: PermissionRequest, deadlineMs?: number): Decision => {
    checks += 1;
    const timeMs = request.environment?.timeMs ?? now();
    const record = snapshot.subjects.get(request.subjectId);
    const { policy } = snapshot;
    const key = keyOf(request);
    const kept = findDecision(key, request, { record, policy, timeMs });
    if (kept !== undefined) {
      hits += 1;
      return kept;
    }
    const decision = evaluate(snapshot, { request, timeMs, options, readHoldings: readKeptHoldings, deadlineMs });
    if (decision.cacheable) {
      const made = { record, policy, fromMs: timeMs, untilMs: decision.validUntilMs };
      if (!decision.readsResourceId) decisions.set(key, { ...made, value: decision });
      else {
        // That the id is looked at hangs on names alone, as the decision does, and ends no sooner.
        decisions.set(key, { ...made, value: null });
        decisions.set(keyWithId(key, request), { ...made, value: decision });
      }
    }
    return decision;
  };

  return {
    checkPermission: (request, deadlineMs) => check(readSnapshot(), request, deadlineMs),
    checkPermissions: (requests) => {
      const snapshot = readSnapshot();
      const results = requests.map((request) => check(snapshot, request));
      return { decisions: results, overallAccess: joinAccess(results), snapshotVersion: snapshot.version };
    },
    stats: () => ({ checks, hits, decisionsKept: decisions.size, subjectsKept: holdings.size }),
  };
}

function evaluate(snapshot: Snapshot, input: DecideInput): Decision {
  try {
    return toDecision(decide(snapshot, input));
  } catch (error) {
    if (error instanceof EvaluationTimeout) return timedOut(snapshot.version);
    throw error;
  }
}

interface Asked {
  readonly record: SubjectRecord | undefined;
  readonly policy: object;
  readonly timeMs: number;
}

function isGood<T>(kept: Kept<T>, { record, policy, timeMs }: Asked): boolean {
  return kept.record === record && kept.policy === policy && timeMs >= kept.fromMs && timeMs < kept.untilMs;
}

/**
 * All that a cacheable decision depends on besides the versions and the resource's id; lengths keep parts apart that hold
 * the separator.
 */
function keyOf(request: PermissionRequest): string {
  const { subjectId, action, resource } = request;
  const { type } = resource;
  const contextId = contextOf(request);
  const planId = planOf(request);
  const lengths = `${action.length},${type.length},${contextId?.length ?? -1},${planId?.length ?? -1},${subjectId.length}`;
  return `${lengths}|${action}|${type}|${contextId ?? ''}|${planId ?? ''}|${subjectId}`;
}

function keyWithId(key: string, { resource: { id } }: PermissionRequest): string {
  return id === undefined ? `${key}-` : `${key}#${id}`;
}

function joinAccess(decisions: readonly Decision[]): BatchDecision['overallAccess'] {
  if (decisions.every(({ overallAccess }) => overallAccess === 'full')) return 'full';
  return decisions.every(({ overallAccess }) => overallAccess === 'none') ? 'none' : 'partial';
}
