import type pg from 'pg';
import type { Logger } from './telemetry.ts';

export interface JobLivenessOptions {
  readonly pool: pg.Pool;
  /** What the jobs of this process are locked by. */
  readonly holder: string;
  /** Whether this process works on the job now. */
  readonly isHandled: (jobId: string) => boolean;
  readonly logger: Pick<Logger, 'warn'>;
  /** Between two looks for holders that are gone. */
  readonly everyMs: number;
}

export interface JobLiveness {
  close(): Promise<void>;
}

const lock = `hashtextextended('job holder ' || $1, 0)`;
const holders = `
  SELECT locked_by AS id FROM graphile_worker._private_jobs WHERE locked_by <> $1
  UNION SELECT locked_by FROM graphile_worker._private_job_queues WHERE locked_by <> $1`;

const heldJobs = 'SELECT id::text FROM graphile_worker._private_jobs WHERE locked_by = $1';
const giveBackJobs = `
  UPDATE graphile_worker._private_jobs SET locked_by = NULL, locked_at = NULL
  WHERE id = ANY ($1::text[]::bigint[]) AND locked_by = $2`;

/**
 * Gives back the jobs of processes that are gone: graphile-worker itself takes them over after four hours. Who takes
 * jobs holds an advisory lock on a session, which ends with the process. One whose lock is free at two looks in a row is
 * gone: between them a process whose session broke has its lock again. In the same way jobs are given back that this
 * process holds and never heard of, because the connection broke between their being taken and the answer.
 */
export function createJobLiveness({ pool, holder, isHandled, logger, everyMs }: JobLivenessOptions): JobLiveness {
  let session: pg.PoolClient | null = null;
  let missing: ReadonlySet<string> = new Set();
  let unheard: ReadonlySet<string> = new Set();
  let isClosed = false;
  let working: Promise<unknown> = Promise.resolve();

  /** Steps go one after the other: there is one session. */
  function next(step: () => Promise<unknown>): void {
    working = working
      .then(() => (isClosed ? null : step()))
      .catch((error: unknown) =>
        logger.warn(
          { error: String(error) },
          'jobs of processes that are gone were not looked for; the next look follows',
        ),
      );
  }

  async function open(): Promise<pg.PoolClient> {
    if (session !== null) return session;
    const client = await pool.connect();
    let isBroken = false;
    client.once('error', (error) => {
      isBroken = true;
      if (session !== client) return;
      session = null;
      client.release(error);
      // At once: others must not find its lock free at two looks.
      next(open);
    });
    try {
      await client.query(`SELECT pg_advisory_lock(${lock})`, [holder]);
    } catch (error) {
      client.release(true);
      throw error;
    }
    if (isBroken) throw new Error('the session broke as it began');
    session = client;
    return client;
  }

  async function look(): Promise<void> {
    const client = await open();
    await giveBackUnheard(client);
    await giveBackOfGone(client);
  }

  async function giveBackUnheard(client: pg.PoolClient): Promise<void> {
    const { rows } = await client.query<{ id: string }>(heldJobs, [holder]);
    const now = new Set(rows.map(({ id }) => id).filter((id) => !isHandled(id)));
    const twice = [...now].filter((id) => unheard.has(id));
    unheard = now;
    if (twice.length === 0) return;
    await client.query(giveBackJobs, [twice, holder]);
    logger.warn({ jobs: twice }, 'jobs that a broken connection has held back are given back');
  }

  async function giveBackOfGone(client: pg.PoolClient): Promise<void> {
    const { rows } = await client.query<{ id: string }>(holders, [holder]);
    const free = new Set<string>();
    for (const { id } of rows) {
      // Held for this statement alone.
      const taken = await client.query<{ free: boolean }>(`SELECT pg_try_advisory_xact_lock(${lock}) AS free`, [id]);
      if (taken.rows[0]!.free) free.add(id);
    }
    const gone = [...free].filter((id) => missing.has(id));
    missing = free;
    if (gone.length === 0) return;
    await client.query('SELECT graphile_worker.force_unlock_workers($1::text[])', [gone]);
    logger.warn({ holders: gone }, 'jobs of processes that are gone are given back');
  }

  const timer = setInterval(() => next(look), everyMs);
  timer.unref();
  next(look);
  return {
    async close() {
      isClosed = true;
      clearInterval(timer);
      await working;
      const client = session;
      session = null;
      // The session ends, and its lock with it.
      client?.release(true);
    },
  };
}
