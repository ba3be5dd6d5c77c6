import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CronItem,
  parseCronItems,
  type Runner,
  run,
  type TaskList,
  type WorkerEvents,
  Logger as WorkerLogger,
} from 'graphile-worker';
import type pg from 'pg';
import { Counter } from 'prom-client';
import { backedOff } from './backoff.ts';
import { createJobLiveness } from './jobLiveness.ts';
import { createJobPool } from './jobPool.ts';
import { type Logger, moduleMetrics } from './telemetry.ts';

const jobsTotal = new Counter({
  name: 'mplp_jobs_total',
  help: 'Attempts at jobs',
  labelNames: ['task', 'status'],
  registers: [moduleMetrics],
});

/** Handles one job. A throw is a failed attempt: it is tried again with exponential delay. */
export type JobHandler = (
  payload: unknown,
  info: { readonly attempt: number; readonly jobId: string; readonly signal: AbortSignal },
) => Promise<void>;

export interface JobRunnerOptions {
  readonly url: string;
  readonly tasks: Readonly<Record<string, JobHandler>>;
  /** Periodic tasks as crontab lines of graphile-worker: minute hour day month weekday task. */
  readonly crontab?: readonly string[];
  readonly logger: Logger;
  /** Jobs at the same time. @default 4 */
  readonly concurrency?: number;
  /** Between two looks for jobs of processes that are gone: theirs are taken over after the second. @default 15_000 */
  readonly lookEveryMs?: number;
}

export interface JobRunner {
  /** Stops taking jobs and waits for the running ones. */
  close(): Promise<void>;
}

/** What waits for a database that is away does not end. */
const closeWithinMs = 10_000;

/** A crontab line as an item: the text form of graphile-worker refuses dots in task names. */
function toCronItem(line: string): CronItem {
  const fields = line.trim().split(/\s+/);
  return { match: fields.slice(0, 5).join(' '), task: fields.slice(5).join(' ') };
}

/** Runs durable jobs and timers (graphile-worker); a job is due at most `pollInterval` (2 s) late. */
export async function createJobRunner(options: JobRunnerOptions): Promise<JobRunner> {
  const { pool, stopWaiting } = createJobPool(
    { connectionString: options.url, max: (options.concurrency ?? 4) + 3, application_name: 'mplp-jobs' },
    options.logger,
  );
  const taskList: TaskList = {};
  for (const [name, handler] of Object.entries(options.tasks)) {
    taskList[name] = async (payload, helpers) => {
      const jobId = String(helpers.job.id);
      try {
        await handler(payload, {
          attempt: helpers.job.attempts,
          jobId,
          signal: helpers.abortSignal ?? AbortSignal.timeout(3_600_000),
        });
        jobsTotal.inc({ task: name, status: 'done' });
      } catch (error) {
        jobsTotal.inc({ task: name, status: 'failed' });
        const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
        options.logger.error({ error: stack, task: name, jobId, attempt: helpers.job.attempts }, 'a job failed');
        throw error;
      }
    };
  }
  const start = () => startTaking(pool, taskList, options);
  const closing = new AbortController();
  let taking = await start();
  const keeping = (async () => {
    for (let failures = 0; ; failures += 1) {
      const since = performance.now();
      await taking.ended;
      if (closing.signal.aborted) return;
      options.logger.error({}, 'jobs are no longer taken; it begins anew');
      if (performance.now() - since > 60_000) failures = 0;
      await taking.close();
      await sleep(backedOff(500, failures), undefined, { signal: closing.signal }).catch(() => {});
      if (closing.signal.aborted) return;
      taking = await start();
    }
  })();
  return {
    async close() {
      closing.abort();
      stopWaiting();
      const closed = Promise.all([taking.close(), keeping]).then(() => pool.end());
      await Promise.race([closed, sleep(closeWithinMs, undefined, { ref: false })]);
    },
  };
}

interface Taking {
  /** Resolves when no job is taken any more, for whatever reason. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

async function startTaking(pool: pg.Pool, taskList: TaskList, options: JobRunnerOptions): Promise<Taking> {
  const { logger, concurrency = 4, crontab = [], lookEveryMs = 15_000 } = options;
  const events: WorkerEvents = new EventEmitter();
  const created = Promise.withResolvers<string>();
  events.once('pool:create', ({ workerPool }) => created.resolve(workerPool.id));
  const handled = new Set<string>();
  events.on('job:start', ({ job }) => handled.add(job.id));
  events.on('job:complete', ({ job }) => handled.delete(job.id));
  const runner: Runner = await run({
    pgPool: pool,
    events,
    taskList,
    concurrency,
    pollInterval: 2_000,
    noHandleSignals: true,
    parsedCronItems: parseCronItems(crontab.map(toCronItem)),
    logger: new WorkerLogger(() => (level, message) => {
      if (level === 'error') logger.error({ message }, 'job failed');
      else if (level === 'warning') logger.warn({ message }, 'job');
      else logger.debug({ message }, 'job');
    }),
  });
  const ended = runner.promise.catch((error: unknown) => logger.error({ error: String(error) }, 'jobs'));
  // Its tables are there once the runner is.
  const liveness = createJobLiveness({
    ...{ pool, holder: await created.promise, logger, everyMs: lookEveryMs },
    isHandled: (jobId) => handled.has(jobId),
  });
  return {
    ended,
    async close() {
      await runner.stop().catch(() => {});
      await liveness.close();
    },
  };
}
