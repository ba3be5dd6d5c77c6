import type { JobHandler } from '#shared/jobs.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import type { Upkeep } from './upkeep.ts';

const sweepTask = 'context.sweep';
const sweepEveryMs = 300_000;
const lookEveryMs = 1_000;
/** How far ahead a look reaches: beyond the next one, so that nothing falls between. */
const lookAheadMs = 2_500;

/** Durable jobs of the module: the backstop of every timer. */
export function contextJobs({ sql }: Pick<ModuleRuntime, 'sql'>, upkeep: Upkeep): Readonly<Record<string, JobHandler>> {
  const job =
    (work: (payload: unknown) => Promise<unknown>): JobHandler =>
    async (payload) =>
      void (await work(payload));
  return {
    expire: job((payload) => upkeep.expire(upkeep.parseTarget(payload))),
    cleanUp: job((payload) => upkeep.cleanUp(upkeep.parseTarget(payload))),
    cascadeDelete: job((payload) => upkeep.cascadeDelete(upkeep.parseTarget(payload))),
    purge: job((payload) => upkeep.purge(upkeep.parseTarget(payload))),
    seat: job((payload) => upkeep.seat(upkeep.parseTarget(payload))),
    endSession: job((payload) => upkeep.endSession(upkeep.parseSession(payload))),
    sweep: job(async () => {
      await upkeep.sweep();
      await scheduleSweep(sql, sweepEveryMs);
    }),
  };
}

/** One waiting sweep for all instances; the key keeps it one. */
async function scheduleSweep(sql: ModuleRuntime['sql'], delayMs: number): Promise<void> {
  await sql.unsafe(
    `SELECT graphile_worker.add_job($1, '{}'::json, run_at => now() + $2 * interval '1 millisecond', max_attempts => 25, job_key => $1, job_key_mode => 'replace')`,
    [sweepTask, delayMs],
  );
}

/**
 * Closes contexts at their time to the millisecond: looks a little ahead each second and sets timers. Several
 * instances may do so at once, the row's lock lets one of them.
 */
export async function startTimers(
  { sql, logger }: Pick<ModuleRuntime, 'sql' | 'logger'>,
  upkeep: Upkeep,
): Promise<StartedModule> {
  const pending = new Map<string, NodeJS.Timeout>();
  const running = new Set<Promise<unknown>>();
  let closed = false;
  const track = (work: Promise<unknown>) => {
    const tracked = work
      .catch((error: unknown) => logger.warn({ error: String(error) }, 'a context timer failed; its job tries again'))
      .finally(() => running.delete(tracked));
    running.add(tracked);
  };

  async function look(): Promise<void> {
    for (const { expiresAt, ...due } of await upkeep.findExpiring(Date.now() + lookAheadMs)) {
      const key = `${due.tenantId}/${due.contextId}`;
      if (closed || pending.has(key)) continue;
      pending.set(
        key,
        setTimeout(
          () => {
            pending.delete(key);
            track(upkeep.expire(due));
          },
          Math.max(0, expiresAt.getTime() - Date.now() + 1),
        ),
      );
    }
  }

  const timer = setInterval(() => track(look()), lookEveryMs);
  track(look());
  await scheduleSweep(sql, 60_000);
  return {
    async close() {
      closed = true;
      clearInterval(timer);
      for (const waiting of pending.values()) clearTimeout(waiting);
      await Promise.all(running);
    },
  };
}
