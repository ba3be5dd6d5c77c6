import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { backedOff } from './backoff.ts';
import type { Logger } from './telemetry.ts';

export interface JobPool {
  readonly pool: pg.Pool;
  /** From now on a connection is looked for once; who does not get one is not told. */
  stopWaiting(): void;
}

/**
 * Connections for graphile-worker, which says how a job ended without waiting for it: an error there would end the
 * process. So what fails because its connection is gone carries the code that it tries again (it removes a job by id and
 * gives one back that is still its own: the same once more changes nothing), and who asks for a connection while the
 * database is away waits for it to be back.
 */
export function createJobPool(config: pg.PoolConfig, logger: Pick<Logger, 'warn'>): JobPool {
  let wasThere = false;
  let isStopped = false;

  class OutlastingPool extends pg.Pool {
    override connect(): Promise<pg.PoolClient>;
    override connect(callback: Parameters<typeof connectWith>[1]): void;
    override connect(callback?: Parameters<typeof connectWith>[1]): Promise<pg.PoolClient> | undefined {
      const connected = this.connectOnceThere();
      if (callback === undefined) return connected;
      connectWith(connected, callback);
      return undefined;
    }

    private async connectOnceThere(): Promise<pg.PoolClient> {
      for (let failures = 0; ; failures += 1) {
        try {
          const client = await super.connect();
          wasThere = true;
          return client;
        } catch (error) {
          // At the start whoever starts it wants to know.
          if (!wasThere) throw error;
          // Neither found nor refused: whoever waited has nobody left who would hear it.
          if (isStopped) return new Promise(() => {});
          if (failures === 0) logger.warn({ error: String(error) }, 'jobs wait for the database');
          await sleep(backedOff(100, failures));
        }
      }
    }
  }

  const pool = new OutlastingPool(config);
  pool.on('connect', (client) => {
    client.on('error', () => {});
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    const tried = (...args: unknown[]): unknown => {
      const answer = query(...args);
      return answer instanceof Promise ? answer.catch(rethrowLost) : answer;
    };
    client.query = tried as typeof client.query;
  });
  pool.on('error', (error) => logger.warn({ error: error.message }, 'job connection lost'));
  return {
    pool,
    stopWaiting: () => {
      isStopped = true;
    },
  };
}

function connectWith(
  connected: Promise<pg.PoolClient>,
  callback: (
    error: Error | undefined,
    client: pg.PoolClient | undefined,
    done: (release?: boolean | Error) => void,
  ) => void,
): void {
  connected.then(
    (client) => callback(undefined, client, (broken) => client.release(broken)),
    (error: Error) => callback(error, undefined, () => {}),
  );
}

/** @throws {Error} what it was given; where the statement did not fail but its connection, as to be tried again */
function rethrowLost(error: unknown): never {
  const isOfStatement = error instanceof pg.DatabaseError && error.severity === 'ERROR';
  if (!isOfStatement && error instanceof Error) Object.assign(error, { code: '40001' });
  throw error;
}
