import { LRUCache } from 'lru-cache';
import type { RoleGraph } from '../hierarchy/index.ts';
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

/** Good for the very records and graph it was made from, whose versions are their identity. */
interface Kept<T> {
  readonly record: SubjectRecord | undefined;
  readonly graph: RoleGraph;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly value: T;
}

export function createDecisionPoint(deps: DecisionPointDeps): DecisionPoint {
  const { readSnapshot, now = Date.now } = deps;
  const options: DecideOptions = { ...defaultDecideOptions, ...deps.options };
  const decisions = new LRUCache<string, Kept<Decision>>({ max: deps.maxDecisions ?? 100_000 });
  const holdings = new LRUCache<string, Kept<Holdings>>({ max: deps.maxSubjects ?? 10_000 });
  let checks = 0;
  let hits = 0;

  const readKeptHoldings: ReadHoldings = (snapshot, record, query) => {
    const key = `${record.subjectId}\0${query.contextId ?? ''}`;
    const kept = holdings.get(key);
    if (kept !== undefined && isGood(kept, { record, graph: snapshot.graph, timeMs: query.timeMs })) return kept.value;
    const value = readHoldings(snapshot, record, query);
    const { fromMs, untilMs } = value;
    holdings.set(key, { record, graph: snapshot.graph, fromMs, untilMs, value });
    return value;
  };

  const check = (snapshot: Snapshot, request: PermissionRequest, deadlineMs?: number): Decision => {
    checks += 1;
    const timeMs = request.environment?.timeMs ?? now();
    const record = snapshot.subjects.get(request.subjectId);
    const { graph } = snapshot;
    const key = keyOf(request);
    const kept = decisions.get(key);
    if (kept !== undefined && isGood(kept, { record, graph, timeMs })) {
      hits += 1;
      return kept.value;
    }
    const decision = evaluate(snapshot, { request, timeMs, options, readHoldings: readKeptHoldings, deadlineMs });
    if (decision.cacheable) {
      decisions.set(key, { record, graph, fromMs: timeMs, untilMs: decision.validUntilMs, value: decision });
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
  readonly graph: RoleGraph;
  readonly timeMs: number;
}

function isGood<T>(kept: Kept<T>, { record, graph, timeMs }: Asked): boolean {
  return kept.record === record && kept.graph === graph && timeMs >= kept.fromMs && timeMs < kept.untilMs;
}

/** All that a cacheable decision depends on besides the versions; lengths keep parts apart that hold the separator. */
function keyOf(request: PermissionRequest): string {
  const { subjectId, action, resource } = request;
  const { type, id } = resource;
  const contextId = contextOf(request);
  const planId = planOf(request);
  const lengths = `${action.length},${type.length},${id?.length ?? -1},${contextId?.length ?? -1},${planId?.length ?? -1}`;
  return `${lengths}|${action}|${type}|${id ?? ''}|${contextId ?? ''}|${planId ?? ''}|${subjectId}`;
}

function joinAccess(decisions: readonly Decision[]): BatchDecision['overallAccess'] {
  if (decisions.every(({ overallAccess }) => overallAccess === 'full')) return 'full';
  return decisions.every(({ overallAccess }) => overallAccess === 'none') ? 'none' : 'partial';
}
