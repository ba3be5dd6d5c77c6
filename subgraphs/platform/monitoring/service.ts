import { operatorTenantOf } from '#shared/config.ts';
import type { RequestScope } from '#shared/context.ts';
import type { Logs } from '#shared/logs/openLogs.ts';
import type { Once } from '#shared/once.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { createAlertActions } from './actions.ts';
import { createAlertRules } from './alertRules.ts';
import { createAlerts } from './alerts.ts';
import { createDashboards } from './dashboards.ts';
import { createEvaluation } from './evaluation.ts';
import { ensureGuideRules } from './guideRules.ts';
import { createPanelCache } from './panelCache.ts';
import { readRange, readSteadyRange } from './range.ts';
import { createMetricReading } from './reading.ts';
import { createRecording } from './recording.ts';
import { rollUp, sweepMetrics } from './rollups.ts';

interface GivenRange {
  readonly from?: unknown;
  readonly to?: unknown;
  readonly stepMs?: number | null | undefined;
}

/** Metrics, dashboards and alerts. */
export function createMonitoring(runtime: ModuleRuntime, { logs, once }: { readonly logs: Logs; readonly once: Once }) {
  const { sql, config, logger } = runtime;
  const operatorTenant = operatorTenantOf(config);
  const reading = createMetricReading(sql);
  const panels = createPanelCache({ sql, sampleMs: config.METRIC_SAMPLE_MS });
  const dashboards = createDashboards({ sql, once, panels });
  const evaluation = createEvaluation(runtime, createAlertActions(runtime));
  const onFailure = (rule: string, error: unknown) =>
    logger.warn({ rule, error: String(error) }, 'an alert rule was not evaluated');

  return {
    ...createRecording(runtime, { once, prepare: logs.prepare }),
    ...dashboards,
    ...createAlertRules({ sql, once, operatorTenant }),
    ...createAlerts({ sql, once }),
    definitions: ({ principal }: RequestScope, name: string | null) => reading.definitions(principal.tenantId, name),
    series: ({ principal }: RequestScope, query: unknown, range: GivenRange) =>
      reading.series(principal.tenantId, query, readRange(range)),
    snapshot: ({ principal }: RequestScope, names: readonly string[] | null) =>
      reading.snapshot(principal.tenantId, names),
    renderDashboard: (scope: RequestScope, dashboardId: string, range: GivenRange, variables: unknown) =>
      dashboards.render(scope, dashboardId, readSteadyRange(range), variables),
    evaluate: (nowMs?: number) => evaluation.evaluate(nowMs, onFailure),
    rollUp: () => rollUp(sql),
    sweepMetrics: () => sweepMetrics(sql, config),

    /** Looks at the rules as often as metrics are sampled. */
    async start(): Promise<StartedModule> {
      if (config.METRIC_HISTORY) await ensureGuideRules(sql, operatorTenant);
      const unsubscribe = runtime.bus.subscribe('platform', panels.hear);
      let running: Promise<unknown> = Promise.resolve();
      const timer = setInterval(() => {
        running = evaluation.evaluate(Date.now(), onFailure).catch((error: unknown) => {
          logger.warn({ error: String(error) }, 'alert rules were not evaluated');
        });
      }, config.METRIC_SAMPLE_MS);
      timer.unref();
      return {
        async close() {
          unsubscribe();
          clearInterval(timer);
          await running;
        },
      };
    },
  };
}

export type Monitoring = ReturnType<typeof createMonitoring>;
