import type { ModuleRuntime } from '#shared/subgraph.ts';
import { type AlertAccess, findAccess } from '../alerts/events.ts';
import { derivedId } from '../ids/traceIds.ts';
import { keeper } from '../keeper.ts';
import type { TraceRow } from '../rows.ts';
import { createGatherer, type LiveWindow, type Noted } from './figures.ts';

/** How long figures gather before they are told, ms. */
export const windowMs = 2_000;
export const liveType = 'trace.metrics.window';

/** The windows of a tenant are one stream. */
export const liveStream = (tenantId: string) => derivedId(`live metrics ${tenantId}`);

export interface LiveEvent {
  readonly window: LiveWindow;
  readonly from: string;
  readonly to: string;
  /** Who sees the context; null of what all see. */
  readonly access: AlertAccess | null;
}

/**
 * Tells what this instance has committed, a message per window, tenant and context. It passes by like presence: nothing
 * is written, and what nobody hears is not told again. Counts of all instances add up.
 */
export function createLive({ sql, publisher, logger }: Pick<ModuleRuntime, 'sql' | 'publisher' | 'logger'>) {
  const gatherer = createGatherer();
  let timer: NodeJS.Timeout | null = null;
  let from = new Date();
  let telling: Promise<void> = Promise.resolve();

  async function tell(windows: readonly LiveWindow[], begun: Date): Promise<void> {
    const to = new Date().toISOString();
    const access = await findAccess(sql, windows);
    for (const window of windows) {
      const { tenantId, contextId } = window;
      const told: LiveEvent = {
        window,
        from: begun.toISOString(),
        to,
        access: access.get(`${tenantId}/${contextId}`) ?? null,
      };
      publisher.ephemeral({
        tenantId,
        module: 'trace',
        streamId: liveStream(tenantId),
        type: liveType,
        actor: keeper,
        data: { ...told },
        createdAt: to,
      });
    }
  }

  function flush(): void {
    timer = null;
    const windows = gatherer.take();
    telling = tell(windows, from).catch((error: unknown) => {
      logger.warn({ error: String(error) }, 'live metrics of a window were not told');
    });
  }

  return {
    /** After COMMIT. The first of a quiet time begins a window. */
    note(trace: Pick<TraceRow, 'tenantId' | 'contextId'>, noted: Noted): void {
      if (timer === null) {
        from = new Date();
        timer = setTimeout(flush, windowMs);
        timer.unref();
      }
      gatherer.note(trace, noted);
    },

    /** Tells what has gathered. */
    async close(): Promise<void> {
      if (timer !== null) {
        clearTimeout(timer);
        flush();
      }
      await telling;
    },
  };
}

export type Live = ReturnType<typeof createLive>;
