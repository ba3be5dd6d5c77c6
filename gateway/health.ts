import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Bus } from '#shared/bus.ts';
import type { Sql } from '#shared/sql.ts';

export interface HealthReport {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly detail?: string }>>;
}

export interface HealthChecks {
  ready(): Promise<HealthReport>;
  /** Readiness is withdrawn first at shutdown, so that no new traffic arrives while the old drains. */
  drain(): void;
  /** Answers that it is not ready while another instance can take over, and goes on serving. */
  setAside(isAside: boolean): void;
  close(): void;
}

export interface HealthOptions {
  /** A failing check names itself and its reason; `required` ones take readiness away. */
  readonly checks: Readonly<Record<string, { readonly required: boolean; readonly run: () => Promise<void> | void }>>;
  /** Event loop delay at p99 above which the process says it is not ready, ms. @default 1_000 */
  readonly maxEventLoopDelayMs?: number;
  /** A check that takes longer has failed, ms. @default 2_000 */
  readonly timeoutMs?: number;
}

/** What a request needs of the platform: its databases and keys. Without a bus it is slower, and works. */
export function platformChecks(parts: {
  readonly sqls: readonly Sql[];
  readonly keys: { hasKeys(): boolean };
  readonly bus: Pick<Bus, 'connected'>;
}): HealthOptions['checks'] {
  return {
    database: {
      required: true,
      run: async () => {
        for (const sql of new Set(parts.sqls)) await sql`SELECT 1`;
      },
    },
    keys: {
      required: true,
      run: () => {
        if (!parts.keys.hasKeys()) throw new Error('no key to verify tokens with yet');
      },
    },
    bus: {
      required: false,
      run: () => {
        if (!parts.bus.connected) throw new Error('Redis is not reachable; event tables are polled');
      },
    },
  };
}

/** Liveness is the event loop alone; readiness asks everything a request needs. */
export function createHealthChecks(options: HealthOptions): HealthChecks {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  let draining = false;
  let aside = false;
  return {
    async ready() {
      const results = await Promise.all(
        Object.entries(options.checks).map(async ([name, check]) => {
          try {
            await withTimeout(Promise.resolve(check.run()), options.timeoutMs ?? 2_000);
            return [name, { ok: true, required: check.required }] as const;
          } catch (error) {
            return [
              name,
              { ok: false, required: check.required, detail: error instanceof Error ? error.message : String(error) },
            ] as const;
          }
        }),
      );
      const eventLoopMs = delay.percentile(99) / 1e6;
      delay.reset();
      const eventLoopOk = !(eventLoopMs > (options.maxEventLoopDelayMs ?? 1_000));
      const checks: Record<string, { ok: boolean; detail?: string }> = {
        eventLoop: { ok: eventLoopOk, detail: `p99 ${eventLoopMs.toFixed(1)} ms` },
      };
      for (const [name, { ok, ...rest }] of results)
        checks[name] = 'detail' in rest ? { ok, detail: rest.detail } : { ok };
      const ready = !draining && !aside && eventLoopOk && results.every(([, result]) => result.ok || !result.required);
      return {
        ready,
        checks: {
          ...checks,
          ...(draining ? { draining: { ok: false } } : {}),
          ...(aside ? { failover: { ok: false, detail: 'an alert has another instance take over' } } : {}),
        },
      };
    },
    drain() {
      draining = true;
    },
    setAside(isAside) {
      aside = isAside;
    },
    close() {
      delay.disable();
    },
  };
}

function withTimeout<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
