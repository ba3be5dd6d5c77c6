import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AlertRuleRow } from '../../subgraphs/trace/alerts/rows.ts';
import { dedupeMs, type Sighting, settle } from '../../subgraphs/trace/alerts/settle.ts';

describe('sightings', () => {
  const rule = (cooldownSeconds: number): AlertRuleRow => ({
    tenantId: 'one',
    id: 'rule',
    name: 'rule',
    figure: 'metric',
    metric: 'm',
    comparison: 'above',
    threshold: 1,
    service: null,
    operation: null,
    severity: 'LOW',
    cooldownSeconds,
    enabled: true,
    lastRaisedAt: null,
    revision: 1,
    createdAt: new Date(0),
    createdBy: 'alice',
    updatedAt: new Date(0),
  });

  it('settle alike in one page or in many, and none of a rule lie closer than its cooldown', () => {
    const sighting = fc.record({ trace: fc.nat(2), gapMs: fc.integer({ min: 0, max: 2 * dedupeMs }) });
    fc.assert(
      fc.property(
        fc.array(sighting, { maxLength: 40 }),
        fc.integer({ min: 0, max: 900 }),
        fc.integer({ min: 1, max: 10 }),
        (given, cooldown, size) => {
          let at = 0;
          const sightings = given.map(({ trace, gapMs }, n): Sighting => {
            at += gapMs;
            return {
              tenantId: 'one',
              traceId: `trace ${trace}`,
              contextId: null,
              rule: rule(cooldown),
              metric: 'm',
              unit: null,
              value: n,
              score: null,
              seenAt: new Date(at),
            };
          });
          const run = (pageSize: number) => {
            const alerts = new Map<string, ReturnType<typeof settle>['raised'][number]>();
            let lastRaisedAt: Date | null = null;
            let ids = 0;
            for (let from = 0; from < sightings.length; from += pageSize) {
              const page = sightings
                .slice(from, from + pageSize)
                .map((each) => ({ ...each, rule: { ...each.rule, lastRaisedAt } }));
              const settled = settle(page, [...alerts.values()], () => `alert ${String(++ids).padStart(3, '0')}`);
              for (const alert of [...settled.raised, ...settled.repeated]) alerts.set(alert.id, alert);
              lastRaisedAt = settled.lastRaised.get('rule') ?? lastRaisedAt;
            }
            return [...alerts.values()];
          };
          const whole = run(1_000);
          expect(run(size)).toEqual(whole);
          const raised = whole.map(({ raisedAt }) => raisedAt.getTime());
          for (const [n, time] of raised.entries())
            if (n > 0) expect(time - raised[n - 1]!).toBeGreaterThanOrEqual(cooldown * 1_000);
          // Nothing that was worth a word is lost while nothing cools down.
          if (cooldown === 0) expect(whole.reduce((sum, { count }) => sum + count, 0)).toBe(sightings.length);
        },
      ),
      { numRuns: 300 },
    );
  });
});
