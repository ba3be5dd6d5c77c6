import { type Consumer, createConsumer } from '#shared/consumer.ts';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { baselineOf, deviationOf } from '../analysis/baseline.ts';
import { keeper } from '../keeper.ts';
import { reportedTraces, reportedType } from '../reported.ts';
import type { TraceRow } from '../rows.ts';
import type { MetricPlace } from '../store/metrics.ts';
import { alertEvent, findAccess } from './events.ts';
import { findMetricValues, findTraceValues, findValuesBefore, type Reported, type RuleValue } from './figures.ts';
import type { AlertRuleRow } from './rows.ts';
import { type Sighting, settle } from './settle.ts';
import { findOpenAlerts, hasEnabledRules, lockEnabledRules, writeAlerts } from './store.ts';

const reported = 'trace.metrics.recorded';
const types = [reported, reportedType, 'trace.status.changed', 'trace.ended'];

function reportOf({ tenantId, streamId, data, createdAt }: EventRow): Reported {
  const metrics = (data['metrics'] as MetricPlace | undefined) ?? null;
  return { tenantId, traceId: streamId, seenAt: createdAt, metrics };
}

const isEnd = ({ type, data }: EventRow) =>
  type !== reported && (data['trace'] as Partial<TraceRow> | undefined)?.finishedAt != null;

/** Traces whose end an event tells. */
function endsOf(event: EventRow): readonly Reported[] {
  if (isEnd(event)) return [reportOf(event)];
  const { tenantId, createdAt: seenAt } = event;
  return reportedTraces(event)
    .filter(({ finishedAt }) => finishedAt !== null)
    .map(({ id: traceId }) => ({ tenantId, traceId, seenAt, metrics: null }));
}

/** Scores of values against what was usual before them; null within the threshold, or where there is no telling. */
async function scoresOf(
  tx: SqlTransaction,
  values: readonly { readonly rule: AlertRuleRow; readonly value: RuleValue }[],
  hours: number,
): Promise<ReadonlyMap<RuleValue, number>> {
  const groups = Map.groupBy(values, ({ rule, value }) => JSON.stringify([rule.tenantId, rule.id, value.kin]));
  const kins = [...groups.values()].map((group) => ({
    rule: group[0]!.rule,
    values: group.map(({ value }) => value),
  }));
  const before = await findValuesBefore(tx, kins, hours);
  const scores = new Map<RuleValue, number>();
  for (const [at, { rule, values: same }] of kins.entries()) {
    const baseline = baselineOf(before[at]!);
    if (baseline === null) continue;
    for (const value of same) {
      const score = deviationOf(value.value, baseline)?.score;
      if (score !== undefined && Math.abs(score) > rule.threshold) scores.set(value, score);
    }
  }
  return scores;
}

/** Holds the alert rules against what is reported, each report once over all instances. */
export function createAlertEvaluation({ sql, bus, logger, config, consumerSqlOf }: ModuleRuntime) {
  async function sightingsOf(
    tx: SqlTransaction,
    rules: readonly AlertRuleRow[],
    events: readonly EventRow[],
  ): Promise<readonly Sighting[]> {
    const [ofMetrics, ofTraces] = [true, false].map((is) => rules.filter(({ figure }) => (figure === 'metric') === is));
    const reports = events.map(reportOf);
    const byId = new Map(rules.map((rule) => [`${rule.tenantId}/${rule.id}`, rule]));
    const values = [
      ...(await findMetricValues(
        tx,
        ofMetrics!,
        reports.filter(({ metrics }) => metrics !== null),
      )),
      ...(await findTraceValues(tx, ofTraces!, events.flatMap(endsOf))),
    ].map((value) => ({ value, rule: byId.get(`${value.tenantId}/${value.ruleId}`)! }));
    const compared = values.filter(({ rule }) => rule.comparison === 'deviates');
    const scores = await scoresOf(tx, compared, config.TRACE_BASELINE_HOURS);
    return values
      .filter(({ rule, value }) => rule.comparison !== 'deviates' || scores.has(value))
      .map(({ rule, value }) => ({ ...value, rule, score: scores.get(value) ?? null }))
      .sort((a, b) => a.seenAt.getTime() - b.seenAt.getTime());
  }

  /** Writes with the consumer's offset: what was evaluated is never evaluated again. */
  async function handle(events: readonly EventRow[], tx: SqlTransaction): Promise<void> {
    const telling = events.filter((event) => event.type === reported || endsOf(event).length > 0);
    if (telling.length === 0) return;
    const rules = await lockEnabledRules(tx, [...new Set(telling.map(({ tenantId }) => tenantId))]);
    if (rules.length === 0) return;
    const sightings = await sightingsOf(tx, rules, telling);
    if (sightings.length === 0) return;
    const settled = settle(sightings, await findOpenAlerts(tx, sightings), newId);
    await writeAlerts(tx, settled, rules);
    const access = await findAccess(tx, [...settled.raised, ...settled.repeated]);
    const changes = (['raised', 'repeated'] as const).flatMap((change) =>
      settled[change].map((alert) => ({
        tenantId: alert.tenantId,
        actor: keeper,
        events: [alertEvent(change, alert, access)],
      })),
    );
    // The tail of the event tables hands them on once this is committed.
    if (changes.length > 0) await appendChange(tx, 'trace', changes);
  }

  return {
    follow(): Promise<Consumer> {
      return createConsumer({
        name: 'trace.alerts',
        module: 'trace',
        sql: consumerSqlOf?.('trace') ?? sql,
        bus,
        logger,
        types,
        pauseMs: 250,
        // A report may hold a thousand metrics.
        pageSize: 100,
        isNeeded: hasEnabledRules,
        handle,
      });
    },
  };
}
