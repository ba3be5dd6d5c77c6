import type { Sql } from 'postgres';
import postgres, { reconnectPause } from './postgresDriver.ts';

/** How often statements that nobody waits for are looked at. */
const lookMs = 100;
/** One that has run for less may be over before the signal comes, which then meets the next one on its connection. */
const minAgeMs = 50;
/** Longer than any statement may take, and than one waits for a connection. */
const giveUpMs = 60_000;
/** What of its text says which statement it is; the server keeps 1,024 bytes. */
const comparedChars = 400;

/** What postgres.js knows of a statement; it tells no one else when it is under way and when it is over. */
interface SentQuery {
  /** It is the one that its connection works on; not while it waits behind others. */
  readonly active: boolean;
  readonly state: { readonly pid: number | null } | null;
  readonly statement: { readonly string: string } | null;
  resolve: (rows: unknown) => void;
  reject: (error: unknown) => void;
}

/** A statement that may be given up. */
export interface EndableStatement {
  /** Ends it on the server, now or when its turn comes; its promise is rejected by that, with 57014. Not one that is over. */
  end(): void;
}

export interface StatementEnder {
  follow(query: object): EndableStatement;
  close(): Promise<void>;
}

/**
 * Ends statements that are given up, over a connection of its own that is opened when there is one.
 *
 * `cancel` of postgres.js is not used: for a statement behind others on a connection it goes on to the next one while the
 * server still answers this one, so that each query after it is given the answer of another; and one cancelled before it is
 * sent takes its connection out of the pool for ever. The signal of PostgreSQL names a connection, not a statement. So it is
 * sent only where the statement is the one that its connection works on, by what this process knows and by what the server
 * says of it.
 */
export function createStatementEnder(url: string, applicationName: string): StatementEnder {
  /** Those given up, with the time of that. */
  const waiting = new Map<SentQuery, number>();
  let sql: Sql | undefined;
  let timer: NodeJS.Timeout | undefined;
  let looking = false;

  const open = () =>
    postgres(url, {
      max: 1,
      idle_timeout: 5,
      connect_timeout: 5,
      backoff: reconnectPause,
      onnotice: () => {},
      connection: { application_name: applicationName, statement_timeout: 2_000 },
    });

  async function look(): Promise<void> {
    const nowMs = performance.now();
    const running: { pid: number; text: string }[] = [];
    for (const [query, sinceMs] of waiting) {
      const { active, state, statement } = query;
      // A promise that nobody waits for is never sent at all.
      if (nowMs - sinceMs > giveUpMs) waiting.delete(query);
      else if (active && state?.pid != null && statement !== null)
        running.push({ pid: state.pid, text: statement.string.slice(0, comparedChars) });
    }
    if (waiting.size === 0) stop();
    if (running.length === 0) return;
    sql ??= open();
    await sql`
      SELECT pg_cancel_backend(a.pid)
      FROM json_to_recordset(${JSON.stringify(running)}::text::json) AS g(pid int, text text)
        JOIN pg_stat_activity a ON a.pid = g.pid
      WHERE a.state = 'active' AND left(a.query, ${comparedChars}::int) = g.text
        AND a.query_start < clock_timestamp() - ${minAgeMs}::int * interval '1 ms'`;
  }

  function begin(): void {
    timer ??= setInterval(() => {
      if (looking) return;
      looking = true;
      // A server out of reach ends its statements by itself, or by their timeout.
      look()
        .catch(() => {})
        .finally(() => {
          looking = false;
        });
    }, lookMs).unref();
  }

  function stop(): void {
    clearInterval(timer);
    timer = undefined;
  }

  return {
    follow(given) {
      const query = given as SentQuery;
      const { resolve, reject } = query;
      let over = false;
      const settle = () => {
        over = true;
        waiting.delete(query);
      };
      query.resolve = (rows) => {
        settle();
        resolve(rows);
      };
      query.reject = (error) => {
        settle();
        reject(error);
      };
      return {
        end() {
          if (over) return;
          waiting.set(query, performance.now());
          begin();
        },
      };
    },
    async close() {
      stop();
      waiting.clear();
      await sql?.end({ timeout: 1 });
    },
  };
}
