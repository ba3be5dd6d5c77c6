import { EventEmitter } from 'node:events';
import {
  type CronItem,
  parseCronItems,
  type Runner,
  run,
  type TaskList,
  type WorkerEvents,
  Logger as WorkerLogger,
} from 'graphile-worker';
import pg from 'pg';
import { Counter } from 'prom-client';
import { createJobLiveness } from './jobLiveness.ts';
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

/** A crontab line as an item: the text form of graphile-worker refuses dots in task names. */
function toCronItem(line: string): CronItem {
  const fields = line.trim().split(/\s+/);
  return { match: fields.slice(0, 5).join(' '), task: fields.slice(5).join(' ') };
}

/** Runs durable jobs and timers (graphile-worker); a job is due at most `pollInterval` (2 s) late. */
export async function createJobRunner(options: JobRunnerOptions): Promise<JobRunner> {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: (options.concurrency ?? 4) + 3,
    application_name: 'mplp-jobs',
  });
  pool.on('connect', (client) => client.on('error', () => {}));
  pool.on('error', (error) => options.logger.warn({ error: error.message }, 'job connection lost'));
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
  const events: WorkerEvents = new EventEmitter();
  const created = Promise.withResolvers<string>();
  events.once('pool:create', ({ workerPool }) => created.resolve(workerPool.id));
  const runner: Runner = await run({
    pgPool: pool,
    events,
    taskList,
    concurrency: options.concurrency ?? 4,
    pollInterval: 2_000,
    noHandleSignals: true,
    parsedCronItems: parseCronItems((options.crontab ?? []).map(toCronItem)),
    logger: new WorkerLogger(() => (level, message) => {
      if (level === 'error') options.logger.error({ message }, 'job failed');
      else if (level === 'warning') options.logger.warn({ message }, 'job');
      else options.logger.debug({ message }, 'job');
    }),
  });
  // Its tables are there once the runner is.
  const liveness = createJobLiveness({
    ...{ pool, holder: await created.promise, logger: options.logger },
    everyMs: options.lookEveryMs ?? 15_000,
  });
  return {
    async close() {
      await runner.stop().catch(() => {});
      await liveness.close();
      await pool.end();
    },
  };
}
