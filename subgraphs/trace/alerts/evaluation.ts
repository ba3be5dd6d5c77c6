import { type Consumer, createConsumer } from '#shared/consumer.ts';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { baselineOf } from '../analysis/baseline.ts';
import { keeper } from '../history/targets.ts';
import type { TraceRow } from '../rows.ts';
import { breach, type Sighting, settle } from './breach.ts';
import { alertEvent, findAlertAccess } from './events.ts';
import { findMetricValues, findTraceValues, findValuesBefore, type Reported } from './figures.ts';
import type { AlertRuleRow } from './rows.ts';
import { findOpenAlerts, lockEnabledRules, writeAlerts } from './store.ts';

const ended = new Set(['trace.status.changed', 'trace.spans.added']);

/** Dates of an event are text: it comes out of JSON. */
type TraceOfEvent = Pick<TraceRow, 'id'> & { readonly finishedAt: string | null; readonly updatedAt: string };

function reportOf({ tenantId, streamId, data, createdAt }: EventRow): Reported {
  const metrics = data['metrics'] as { first: string; last: string } | undefined;
  return { tenantId, traceId: streamId, first: metrics?.first ?? null, last: metrics?.last ?? null, seenAt: createdAt };
}

/** Spans that come late change a trace that had ended before: both times are those of one transaction where it ends. */
function endsNow({ type, data }: EventRow): boolean {
  const trace = data['trace'] as TraceOfEvent | undefined;
  return ended.has(type) && trace?.finishedAt != null && trace.finishedAt === trace.updatedAt;
}

/** Holds the alert rules against what is reported, each report once over all instances. */
export function createAlertEvaluation({ sql, bus, logger, config, consumerSqlOf }: ModuleRuntime) {
  async function sightingsOf(
    tx: SqlTransaction,
    rules: readonly AlertRuleRow[],
    events: readonly EventRow[],
  ): Promise<readonly Sighting[]> {
    const metricReports = events.filter(({ type }) => type === 'trace.metrics.recorded').map(reportOf);
    const values = [
      ...(await findMetricValues(
        tx,
        rules.filter(({ figure }) => figure === 'metric'),
        metricReports.filter(({ first }) => first !== null),
      )),
      ...(await findTraceValues(
        tx,
        rules.filter(({ figure }) => figure !== 'metric'),
        events.filter(endsNow).map(reportOf),
      )),
    ];
    const byId = new Map(rules.map((rule) => [`${rule.tenantId}/${rule.id}`, rule]));
    const found: Sighting[] = [];
    for (const value of values) {
      const rule = byId.get(`${value.tenantId}/${value.ruleId}`)!;
      // A rule holds for what comes after it.
      if (value.seenAt < rule.updatedAt) continue;
      const baseline =
        rule.comparison === 'deviates'
          ? baselineOf(await findValuesBefore(tx, rule, value, config.TRACE_BASELINE_HOURS))
          : null;
      const broken = breach(rule, value.value, baseline);
      if (broken) found.push({ ...value, rule, score: broken.score });
    }
    return found.sort((a, b) => a.seenAt.getTime() - b.seenAt.getTime());
  }

  /** Writes with the consumer's offset: what was evaluated is never evaluated again. */
  async function handle(events: readonly EventRow[], tx: SqlTransaction): Promise<void> {
    const telling = events.filter((event) => event.type === 'trace.metrics.recorded' || endsNow(event));
    if (telling.length === 0) return;
    const rules = await lockEnabledRules(tx, [...new Set(telling.map(({ tenantId }) => tenantId))]);
    if (rules.length === 0) return;
    const sightings = await sightingsOf(tx, rules, telling);
    if (sightings.length === 0) return;
    const settled = settle(sightings, await findOpenAlerts(tx, sightings), newId);
    await writeAlerts(tx, settled, rules);
    const access = await findAlertAccess(tx, [...settled.raised, ...settled.repeated]);
    // The tail of the event tables hands them on once this is committed.
    await appendChange(tx, 'trace', [
      ...settled.raised.map((alert) => ({
        tenantId: alert.tenantId,
        actor: keeper,
        events: [alertEvent('raised', alert, access)],
      })),
      ...settled.repeated.map((alert) => ({
        tenantId: alert.tenantId,
        actor: keeper,
        events: [alertEvent('repeated', alert, access)],
      })),
    ]);
  }

  return {
    follow(): Promise<Consumer> {
      return createConsumer({
        name: 'trace.alerts',
        module: 'trace',
        sql: consumerSqlOf?.('trace') ?? sql,
        bus,
        logger,
        types: ['trace.metrics.recorded', ...ended],
        pauseMs: 250,
        handle,
      });
    },
  };
}
