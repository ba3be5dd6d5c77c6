import type { CorrelationKind } from './kinds.ts';

/** What two traces are compared by. */
export interface Correlated {
  readonly id: string;
  readonly correlationId: string | null;
  readonly planId: string | null;
  readonly contextId: string | null;
  /** Nanoseconds since 1970; null while nothing was reported. */
  readonly startNs: string | null;
  readonly endNs: string | null;
  readonly services: readonly string[];
}

/** Links of spans from one to the other. */
export interface LinkCounts {
  readonly from: number;
  readonly to: number;
}

export interface Correlation {
  readonly type: CorrelationKind;
  /** Over 0 to 1. */
  readonly strength: number;
  /** What it was computed from, in words. */
  readonly evidence: string;
  /** The trace that came first, of a causation; null otherwise. */
  readonly causeId: string | null;
}

/** How two traces hang together, each way that is found. */
export function correlationsOf(one: Correlated, other: Correlated, links: LinkCounts): readonly Correlation[] {
  return [causation(one, other, links), logical(one, other), temporal(one, other), spatial(one, other)].filter(
    (found) => found !== null,
  );
}

/** A link states it: what is linked to came first (OpenTelemetry, Links between spans). */
function causation(one: Correlated, other: Correlated, { from, to }: LinkCounts): Correlation | null {
  if (from + to === 0) return null;
  return {
    type: 'causation',
    strength: 1,
    evidence: `${from + to} span ${from + to === 1 ? 'link' : 'links'}`,
    causeId: from >= to ? other.id : one.id,
  };
}

/** Of correlation id, plan and context, the share that is the same among those that one of both has. */
function logical(one: Correlated, other: Correlated): Correlation | null {
  const keys = { correlationId: 'correlation id', planId: 'plan', contextId: 'context' } as const;
  const names = Object.keys(keys) as (keyof typeof keys)[];
  const same = names.filter((name) => one[name] !== null && one[name] === other[name]);
  if (!same.includes('correlationId') && !same.includes('planId')) return null;
  const there = names.filter((name) => one[name] !== null || other[name] !== null);
  const evidence = `same ${same.map((name) => keys[name]).join(' and ')}`;
  return { type: 'logical', strength: same.length / there.length, evidence, causeId: null };
}

/** Time in common over the shorter of both (Szymkiewicz and Simpson). */
function temporal(one: Correlated, other: Correlated): Correlation | null {
  if (one.startNs === null || one.endNs === null || other.startNs === null || other.endNs === null) return null;
  const [starts, ends] = [
    [BigInt(one.startNs), BigInt(other.startNs)],
    [BigInt(one.endNs), BigInt(other.endNs)],
  ] as const;
  const from = starts[0] > starts[1] ? starts[0] : starts[1];
  const to = ends[0] < ends[1] ? ends[0] : ends[1];
  const shorter = Math.min(Number(ends[0] - starts[0]), Number(ends[1] - starts[1]));
  const common = Number(to - from);
  if (common <= 0 || shorter <= 0) return null;
  const inMs = (ns: number) => (ns / 1e6).toFixed(3);
  return {
    type: 'temporal',
    strength: common / shorter,
    evidence: `${inMs(common)} of ${inMs(shorter)} ms at the same time`,
    causeId: null,
  };
}

/** Services in common over those of both (Jaccard). */
function spatial(one: Correlated, other: Correlated): Correlation | null {
  const theirs = new Set(other.services);
  const own = new Set(one.services);
  const common = [...own].filter((service) => theirs.has(service)).length;
  if (common === 0) return null;
  const all = own.size + theirs.size - common;
  return { type: 'spatial', strength: common / all, evidence: `${common} of ${all} services`, causeId: null };
}
