import { PlatformError, toUserError } from '#shared/errors.ts';
import type { UserError } from '../resolvers.generated.ts';
import type { InfeasibilityValue } from '../rows.ts';

/** What proves that something does not fit, in GraphQL's shape. */
export function infeasibilityShape(value: InfeasibilityValue) {
  return {
    ...value,
    kind: value.kind ?? null,
    prices: [...(value.prices ?? [])],
    ...{ latencyMs: value.latencyMs ?? null, maxLatencyMs: value.maxLatencyMs ?? null },
    linkIds: [...value.linkIds],
    nodeIds: [...value.nodeIds],
    demands: [...value.demands],
  };
}

/** An expected failure beside an answer. */
export function userErrorShape(error: PlatformError): UserError {
  const { path, ...rest } = toUserError(error);
  return { ...rest, path: path && [...path] };
}

/** What stands beside the answer to demands that do not fit. */
export function infeasibleDemands(value: InfeasibilityValue): PlatformError {
  const { kind, demandedMbps, capacityMbps } = value;
  const reason = {
    CUT: `demands of ${demandedMbps} Mbps have to cross a cut of ${capacityMbps}`,
    PRICES: `by the prices of links demands take ${demandedMbps} Mbps at least, all links together have ${capacityMbps}`,
    ONE_PATH: `a demand of ${demandedMbps} Mbps has to cross links of ${capacityMbps} at most`,
    LATENCY: `the quickest way of a demand takes ${value.latencyMs} ms, it may take ${value.maxLatencyMs}`,
    TOTAL: `demands of ${demandedMbps} Mbps exceed the network's total of ${capacityMbps}`,
  }[kind ?? 'CUT'];
  return new PlatformError('INFEASIBLE_DEMANDS', reason, { path: ['input', 'demands'] });
}
