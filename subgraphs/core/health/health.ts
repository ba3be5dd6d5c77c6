import { monitorEventLoopDelay } from 'node:perf_hooks';
import { runForAll } from '#shared/cancellation.ts';
import type { Sql } from '#shared/sql.ts';
import type { Logger } from '#shared/telemetry.ts';
import { type SubgraphName, subgraphNames } from '../../names.ts';
import { looksUntilBetter, looksUntilWorse, type Overall, settleOverall } from './hysteresis.ts';
import { alertsOf, componentsOf, type HealthMetric, type HealthReading } from './measured.ts';
import { type Uptimes, wholePlatform } from './uptime.ts';

export type ComponentStatus = 'healthy' | 'degraded' | 'unhealthy' | 'error';

export interface Component {
  readonly name: string;
  readonly status: ComponentStatus;
  readonly responseMs: number;
  readonly detail: string | null;
  /** Share of the looks of the last day at which it was up, by all processes; null before the first. */
  readonly uptime: number | null;
  /** Share of the calls of the last minutes that broke, 0 to 1; null of what nobody calls, or too seldom to tell. */
  readonly errorRate: number | null;
}

/** What is not as it should be, as long as it is not. */
export interface Issue {
  readonly component: string;
  readonly status: Exclude<ComponentStatus, 'healthy'>;
  readonly detail: string | null;
  /** Of the first look at which it was so, of this process. */
  readonly since: string;
}

/** A figure that has passed its threshold. */
export interface HealthAlert {
  readonly metric: string;
  readonly severity: 'warning' | 'critical';
  readonly value: number;
  readonly threshold: number;
  readonly unit: HealthMetric['unit'];
}

type Probed = Omit<Component, 'uptime' | 'errorRate'>;

export interface HealthSnapshot {
  readonly overall: Overall;
  /** 0 to 1: mean of the components, a degraded one half. */
  readonly score: number;
  /** The same share of the whole: no component had failed. */
  readonly uptime: number | null;
  readonly components: readonly Component[];
  /** Figures of the last minutes that some of the components are made of. */
  readonly metrics: readonly HealthMetric[];
  readonly issues: readonly Issue[];
  readonly alerts: readonly HealthAlert[];
  readonly checkedAt: string;
}

export interface ModuleChange {
  readonly module: string;
  readonly isConnected: boolean;
  readonly detail: string | null;
}

export interface HealthDeps {
  readonly sqlOf: (module: SubgraphName) => Sql;
  readonly logger: Logger;
  /** Steps that this process runs, and could run. */
  readonly worker: () => { readonly running: number; readonly slots: number };
  /** Operations that steps do not call for now, of all tenants. */
  readonly openCircuits: () => number;
  /** What was measured lately. */
  readonly measured: () => Promise<HealthReading>;
  readonly uptimes: Uptimes;
  /** Hears of each look at which what is shown became another, the first one included. */
  readonly onChanged: (snapshot: HealthSnapshot) => Promise<void>;
  /** Hears of modules that answer no more, or again, after as many looks in a row as the whole needs; of all after the first. */
  readonly onModules?: (changes: readonly ModuleChange[]) => Promise<void>;
}

const everyMs = 5_000;
const probeTimeoutMs = 1_000;
const slowMs = 250;
const resolutionMs = 20;
const weights: Readonly<Record<ComponentStatus, number>> = { healthy: 1, degraded: 0.5, unhealthy: 0, error: 0 };

/** Probes all components side by side, each with a time limit, every 5 s; asked for, it answers what it saw last. */
export function createHealth(deps: HealthDeps) {
  const { sqlOf, logger, worker, openCircuits, measured, uptimes, onChanged, onModules } = deps;
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  let last: HealthSnapshot | null = null;
  let settled: ReturnType<typeof settleOverall> | null = null;
  let probing: Promise<HealthSnapshot> | null = null;
  /** Since when components have not been healthy. */
  let since: ReadonlyMap<string, string> = new Map();
  /** Whether modules answer, as it was told last, and looks in a row that say otherwise. */
  const connections = new Map<string, { isConnected: boolean; against: number }>();

  async function probe(name: string, work: () => Promise<string | null>): Promise<Probed> {
    const started = performance.now();
    const elapsed = () => Math.round((performance.now() - started) * 10) / 10;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error(`no answer within ${probeTimeoutMs} ms`)), probeTimeoutMs);
    try {
      const detail = await Promise.race([work(), late.promise]);
      const responseMs = elapsed();
      return { name, status: detail !== null || responseMs > slowMs ? 'degraded' : 'healthy', responseMs, detail };
    } catch (error) {
      return {
        name,
        status: 'error',
        responseMs: elapsed(),
        detail: error instanceof Error ? error.message : String(error),
      };
    } finally {
      clearTimeout(timer);
    }
  }

  async function tellModules(seen: readonly Probed[]): Promise<void> {
    const changes = seen.flatMap(({ name, status, detail }): ModuleChange[] => {
      if (!name.startsWith('module.')) return [];
      const isConnected = status !== 'error';
      const known = connections.get(name);
      const change = { module: name.slice('module.'.length), isConnected, detail: isConnected ? null : detail };
      if (known === undefined) {
        connections.set(name, { isConnected, against: 0 });
        return [change];
      }
      known.against = known.isConnected === isConnected ? 0 : known.against + 1;
      if (known.against < (isConnected ? looksUntilBetter : looksUntilWorse)) return [];
      Object.assign(known, { isConnected, against: 0 });
      return [change];
    });
    if (changes.length === 0) return;
    await onModules?.(changes).catch((error: unknown) => {
      // As if they had not been looked at: the next look tells it.
      for (const { module } of changes) connections.delete(`module.${module}`);
      logger.warn({ error: String(error) }, 'modules that answer no more, or again, were not told');
    });
  }

  async function probeAll(): Promise<HealthSnapshot> {
    let reading: HealthReading = { metrics: [], errorRates: new Map() };
    const probed = await Promise.all([
      ...subgraphNames.map((name) =>
        probe(`module.${name}`, async () => {
          // The module's own tables, by their index: a database that answers but has lost them is no module.
          await sqlOf(name).unsafe(`SELECT 1 FROM ${name}.consumer_offset LIMIT 1`, [], { prepare: true });
          return null;
        }),
      ),
      probe('workflow.worker', async () => {
        const { running, slots } = worker();
        return running >= slots ? `all ${slots} slots are taken` : null;
      }),
      probe('workflow.calls', async () => {
        const open = openCircuits();
        return open > 0 ? `${open} operations failed too often of late and are left alone` : null;
      }),
      probe('process.loop', async () => {
        const p99 = delay.percentile(99) / 1e6;
        delay.reset();
        return p99 > 200 ? `event loop delayed by ${Math.round(p99)} ms` : null;
      }),
      probe('measured', async () => {
        reading = await measured();
        return null;
      }),
    ]);
    const { metrics, errorRates } = reading;
    const look = probed.at(-1)!;
    const seen = look.status === 'error' ? probed : [...probed.slice(0, -1), ...componentsOf(metrics, look.responseMs)];
    const isUp = ({ status }: Probed) => status === 'healthy' || status === 'degraded';
    for (const component of seen) uptimes.note(component.name, isUp(component));
    uptimes.note(
      wholePlatform,
      seen.every(({ status }) => status !== 'error'),
    );
    const components = seen.map(
      (component): Component => ({
        ...component,
        uptime: uptimes.of(component.name),
        errorRate: errorRates.get(component.name) ?? null,
      }),
    );
    void tellModules(seen);
    const checkedAt = new Date().toISOString();
    const issues = components.flatMap(({ name, status, detail }): Issue[] =>
      status === 'healthy' ? [] : [{ component: name, status, detail, since: since.get(name) ?? checkedAt }],
    );
    since = new Map(issues.map((issue) => [issue.component, issue.since]));
    const before = settled?.shown;
    settled = settleOverall(settled, rollUp(components));
    last = {
      overall: settled.shown,
      score: components.reduce((sum, { status }) => sum + weights[status], 0) / components.length,
      uptime: uptimes.of(wholePlatform),
      components,
      metrics,
      issues,
      alerts: alertsOf(metrics),
      checkedAt,
    };
    if (settled.shown !== before)
      onChanged(last).catch((error: unknown) =>
        logger.warn({ error: String(error) }, 'a change of the health was not told'),
      );
    return last;
  }

  /** Probes that are asked for at once are one. */
  function refresh(): Promise<HealthSnapshot> {
    probing ??= runForAll(probeAll).finally(() => {
      probing = null;
    });
    return probing;
  }

  return {
    refresh,
    /** Mean delay of the event loop lately, ms. */
    loopDelayMs: () => (Number.isNaN(delay.mean) ? 0 : Math.max(0, delay.mean / 1e6 - resolutionMs)),
    snapshot: async (): Promise<HealthSnapshot> => last ?? refresh(),
    start() {
      delay.enable();
      const timer = setInterval(
        () => refresh().catch((error: unknown) => logger.warn({ error: String(error) }, 'a look at the health failed')),
        everyMs,
      );
      return () => {
        clearInterval(timer);
        delay.disable();
      };
    },
  };
}

/**
 * As the protocol's documents have it: any error is critical, more than 30 % unhealthy degraded, any unhealthy a warning. They
 * know no degraded component: it is not healthy either. `unhealthy` as a whole comes of nothing.
 */
export function rollUp(components: readonly Pick<Component, 'status'>[]): Overall {
  const bad = components.filter(({ status }) => status !== 'healthy').length;
  if (components.some(({ status }) => status === 'error')) return 'critical';
  if (bad > components.length * 0.3) return 'degraded';
  return bad > 0 ? 'warning' : 'healthy';
}
