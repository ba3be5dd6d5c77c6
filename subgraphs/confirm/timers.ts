import { requireId } from '#shared/ids.ts';
import type { JobHandler } from '#shared/jobs.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { type Escalations, maxEscalationBatch } from './escalations.ts';
import type { Returns } from './returns.ts';

const lookEveryMs = 1_000;
/** How far ahead a look reaches: beyond the next one, so that nothing falls between. */
const lookAheadMs = 2_500;

/** Once a minute whatever timers missed is looked for, and whether delegates may still decide: hours of a condition tell nobody. */
export const confirmCrontab = ['* * * * * confirm.sweep', '* * * * * confirm.returns'];

/**
 * The deadline in a confirm's row is its durable timer: a sweep meets what no process was there for. `deadline` serves jobs
 * of versions that made one for each confirm.
 */
export function confirmJobs(
  escalations: Escalations,
  returns: Pick<Returns, 'checkAll'>,
): Readonly<Record<string, JobHandler>> {
  return {
    async deadline(payload) {
      const { tenantId, confirmId } = payload as { readonly tenantId?: unknown; readonly confirmId?: unknown };
      if (typeof tenantId !== 'string') throw new Error('a job without tenant');
      await escalations.meetOne(tenantId, requireId(confirmId, ['confirmId']));
    },
    returns: () => returns.checkAll(),
    async sweep() {
      for (;;) {
        const { examined } = await escalations.process({
          tenantId: null,
          nowMs: null,
          limit: maxEscalationBatch,
        });
        if (examined < maxEscalationBatch) return;
      }
    },
  };
}

/**
 * Meets deadlines to the millisecond: looks a little ahead each second, also over what stood there before the process
 * started, and sets timers for as long as the database says there is. Several instances may do so at once; the row's lock lets one of them.
 */
export function startTimers({ logger }: Pick<ModuleRuntime, 'logger'>, escalations: Escalations): StartedModule {
  const pending = new Map<string, NodeJS.Timeout>();
  const running = new Set<Promise<unknown>>();
  let closed = false;
  const track = (work: Promise<unknown>) => {
    const tracked = work
      .catch((error: unknown) => logger.warn({ error: String(error) }, 'a confirm timer failed; the sweep tries again'))
      .finally(() => running.delete(tracked));
    running.add(tracked);
  };

  async function look(): Promise<void> {
    for (const { tenantId, confirmId, inMs } of await escalations.findDue(lookAheadMs)) {
      const key = `${tenantId}/${confirmId}`;
      if (closed || pending.has(key)) continue;
      pending.set(
        key,
        setTimeout(
          () => {
            pending.delete(key);
            track(escalations.meetOne(tenantId, confirmId));
          },
          Math.max(0, Math.ceil(inMs) + 1),
        ),
      );
    }
  }

  const timer = setInterval(() => track(look()), lookEveryMs);
  track(look());
  return {
    async close() {
      closed = true;
      clearInterval(timer);
      for (const waiting of pending.values()) clearTimeout(waiting);
      await Promise.all(running);
    },
  };
}
