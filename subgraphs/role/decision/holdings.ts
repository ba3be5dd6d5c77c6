import { type CompiledConstraints, clearances } from '../conditions/index.ts';
import { type Bits, setBit, unionBits } from '../hierarchy/bits.ts';
import { compareText } from '../hierarchy/order.ts';
import { findInactive, withoutForce } from './activation.ts';
import { type Assignment, isWithin, nextBoundary } from './assignment.ts';
import type { CompiledRole } from './compiledRole.ts';
import type { Snapshot, SubjectRecord } from './snapshot.ts';

/** A role in force that a subject holds by an assignment in force. */
export interface Holding {
  readonly assignment: Assignment;
  readonly constraints: CompiledConstraints | undefined;
  readonly role: CompiledRole;
  /** In the graph. */
  readonly index: number;
  /** Separated from another one that is active here: only its denials count. */
  readonly isInactive?: true;
}

/** What a subject holds in one context during a span of time: the activated roles of ANSI INCITS 359. */
export interface Holdings {
  /** By role, then by assignment. */
  readonly all: readonly Holding[];
  /** Those with inheritance rules of their own in the closure: decided each by itself. */
  readonly ruled: readonly Holding[];
  /** Closure of the other roles held. */
  readonly up: Bits;
  /** The part of it that comes without any question: plain roles, full edges, unconstrained assignments. */
  readonly plainUp: Bits;
  readonly roleIds: readonly string[];
  /** The other roles themselves. */
  readonly held: Bits;
  /** The highest that a role held confers. */
  readonly clearance: string | undefined;
  readonly fromMs: number;
  readonly untilMs: number;
}

export interface HoldingsQuery {
  readonly contextId: string | undefined;
  readonly timeMs: number;
  /** Only assignments of these roles. @default all */
  readonly roleIds?: readonly string[] | undefined;
}

/** Assignments that are active, within their time, global or of the context, whose role is in force. */
export function readHoldings(snapshot: Snapshot, record: SubjectRecord, query: HoldingsQuery): Holdings {
  const { contextId, timeMs } = query;
  let all: Holding[] = [];
  let untilMs = Number.POSITIVE_INFINITY;
  for (const { row: assignment, constraints } of record.assignments) {
    if (assignment.status !== 'active') continue;
    if (assignment.contextId !== undefined && assignment.contextId !== contextId) continue;
    if (query.roleIds !== undefined && !query.roleIds.includes(assignment.roleId)) continue;
    const index = snapshot.graph.indexes.get(assignment.roleId);
    const role = index === undefined ? undefined : snapshot.roles[index];
    if (index === undefined || role === undefined || !role.hasForce) continue;
    const { validFromMs, expiresAtMs } = assignment;
    const { effectiveMs, expirationMs } = role.role;
    untilMs = Math.min(untilMs, nextBoundary(timeMs, [validFromMs, expiresAtMs, effectiveMs, expirationMs]));
    if (!isWithin(timeMs, validFromMs, expiresAtMs) || !isWithin(timeMs, effectiveMs, expirationMs)) continue;
    all.push({ assignment, constraints, role, index });
  }
  const inactive = findInactive(snapshot, all, contextId);
  if (inactive.size > 0)
    all = all.map((holding) =>
      inactive.has(holding)
        ? { ...holding, constraints: withoutForce(holding.constraints), isInactive: true }
        : holding,
    );
  all.sort((left, right) => compareText(left.assignment.roleId, right.assignment.roleId));
  const held = new Uint32Array((snapshot.graph.nodes.length >>> 5) + 1);
  const nodeOf = ({ index }: Holding) => snapshot.graph.nodes[index]!;
  const ruled = all.filter((holding) => nodeOf(holding).ruledUp);
  const others = ruled.length === 0 ? all : all.filter((holding) => !nodeOf(holding).ruledUp);
  for (const { index } of others) setBit(held, index);
  const plain = others.filter(({ constraints }) => constraints === undefined);
  return {
    all,
    ruled,
    up: unionBits(others.map((holding) => nodeOf(holding).up)),
    plainUp: unionBits(plain.map((holding) => nodeOf(holding).plainUp)),
    roleIds: [...new Set(all.map(({ assignment }) => assignment.roleId))],
    held,
    clearance: highestClearance(all),
    fromMs: timeMs,
    untilMs,
  };
}

function highestClearance(holdings: readonly Holding[]): string | undefined {
  let highest = -1;
  for (const { role } of holdings) {
    const { securityClearance } = role.role;
    if (securityClearance !== undefined) highest = Math.max(highest, clearances.indexOf(securityClearance));
  }
  return clearances[highest];
}
