import { requireId } from '#shared/ids.ts';
import type { JobHandler } from '#shared/jobs.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import type { Deadlines } from './deadlines.ts';

const lookEveryMs = 1_000;
/** How far ahead a look reaches: beyond the next one, so that nothing falls between. */
const lookAheadMs = 2_500;

/** Once a minute whatever timers and jobs missed is looked for. */
export const collabCrontab = ['* * * * * collab.sweep'];

/** Durable timers: one job for the next deadline of each collaboration. */
export function collabJobs(deadlines: Deadlines): Readonly<Record<string, JobHandler>> {
  return {
    async deadline(payload) {
      const { tenantId, collabId } = payload as { readonly tenantId?: unknown; readonly collabId?: unknown };
      if (typeof tenantId !== 'string') throw new Error('a job without tenant');
      await deadlines.meetOne(tenantId, requireId(collabId, ['collabId']));
    },
    sweep: () => deadlines.sweep(),
  };
}

/**
 * Meets deadlines to the millisecond: looks a little ahead each second and sets timers. Several instances may do so at
 * once; the row's lock lets one of them.
 */
export function startTimers({ logger }: Pick<ModuleRuntime, 'logger'>, deadlines: Deadlines): StartedModule {
  const pending = new Map<string, NodeJS.Timeout>();
  const running = new Set<Promise<unknown>>();
  let closed = false;
  const track = (work: Promise<unknown>) => {
    const tracked = work
      .catch((error: unknown) => logger.warn({ error: String(error) }, 'a timer of collab failed; its job tries again'))
      .finally(() => running.delete(tracked));
    running.add(tracked);
  };

  async function look(): Promise<void> {
    for (const { tenantId, collabId, at } of await deadlines.findDue(Date.now() + lookAheadMs)) {
      const key = `${tenantId}/${collabId}`;
      if (closed || pending.has(key)) continue;
      const wait = Math.max(0, at.getTime() - Date.now() + 1);
      pending.set(
        key,
        setTimeout(() => {
          pending.delete(key);
          track(deadlines.meetOne(tenantId, collabId));
        }, wait),
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
