import type { AlertRow, AlertRuleRow } from './rows.ts';

/** What a rule may look at: a figure of a trace, when it became known. */
export interface Sighting {
  readonly tenantId: string;
  readonly traceId: string;
  readonly contextId: string | null;
  readonly rule: AlertRuleRow;
  readonly metric: string;
  readonly unit: string | null;
  readonly value: number;
  readonly score: number | null;
  readonly seenAt: Date;
}

/** Seen again within this time of the last, an alert is counted; quiet for as long, it is resolved. */
export const dedupeMs = 300_000;

export interface Settled {
  readonly raised: readonly AlertRow[];
  /** Alerts that stood and were seen again. */
  readonly repeated: readonly AlertRow[];
  /** When rules last raised one, by the rule's id. */
  readonly lastRaised: ReadonlyMap<string, Date>;
}

/** What becomes of sightings in their order: an alert, one more of an alert that stands, or nothing while its rule cools down. */
export function settle(sightings: readonly Sighting[], open: readonly AlertRow[], newId: () => string): Settled {
  const keyOf = (alert: { readonly traceId: string }, ruleId: string) => `${ruleId}/${alert.traceId}`;
  const standing = new Map(open.map((alert) => [keyOf(alert, alert.ruleId), alert]));
  const fresh = new Set<string>();
  const touched = new Map<string, AlertRow>();
  const lastRaised = new Map<string, Date>();
  for (const sighting of sightings) {
    const { rule, seenAt, value, score, traceId } = sighting;
    const key = keyOf(sighting, rule.id);
    const known = standing.get(key);
    if (known && seenAt.getTime() - known.lastSeenAt.getTime() <= dedupeMs) {
      const lastSeenAt = seenAt > known.lastSeenAt ? seenAt : known.lastSeenAt;
      const again = { ...known, value, score, count: known.count + 1, lastSeenAt };
      standing.set(key, again);
      touched.set(again.id, again);
      continue;
    }
    const last = lastRaised.get(rule.id) ?? rule.lastRaisedAt;
    const cooldownMs = rule.cooldownSeconds * 1_000;
    // Reports of different traces are not in the order of their times.
    if (last !== null && cooldownMs > 0 && seenAt.getTime() - last.getTime() < cooldownMs) continue;
    const alert: AlertRow = {
      tenantId: sighting.tenantId,
      id: newId(),
      ruleId: rule.id,
      ruleName: rule.name,
      traceId,
      contextId: sighting.contextId,
      severity: rule.severity,
      metric: sighting.metric,
      unit: sighting.unit,
      value,
      threshold: rule.threshold,
      score,
      count: 1,
      raisedAt: seenAt,
      lastSeenAt: seenAt,
      acknowledgedAt: null,
      acknowledgedBy: null,
      resolvedAt: null,
    };
    fresh.add(alert.id);
    standing.set(key, alert);
    touched.set(alert.id, alert);
    lastRaised.set(rule.id, seenAt);
  }
  const all = [...touched.values()];
  return {
    raised: all.filter(({ id }) => fresh.has(id)),
    repeated: all.filter(({ id }) => !fresh.has(id)),
    lastRaised,
  };
}
