import type { Sql } from '#shared/sql.ts';
import type { Logger } from '#shared/telemetry.ts';
import { platformTenant } from '../settings.ts';

interface Looks {
  readonly looks: number;
  readonly up: number;
}

/** Component under which it is counted how often nothing at all had failed. */
export const wholePlatform = 'platform';

const everyMs = 60_000;
const keepDays = 31;

export type Uptimes = ReturnType<typeof createUptimes>;

/**
 * How often components were up when they were looked at, by the hour, of all processes together. What nobody looked at,
 * because no process ran, counts neither way.
 */
export function createUptimes({ sql, logger }: { readonly sql: Sql; readonly logger: Logger }) {
  /** Of the last day, as it was stored last. */
  let stored: ReadonlyMap<string, Looks> = new Map();
  let open = new Map<string, Looks>();

  const plus = (one: Looks | undefined, other: Looks | undefined): Looks => ({
    looks: (one?.looks ?? 0) + (other?.looks ?? 0),
    up: (one?.up ?? 0) + (other?.up ?? 0),
  });

  /** Stores what was counted since the last time, and takes over what the other processes have. */
  async function flush(): Promise<void> {
    const counted = open;
    open = new Map();
    try {
      // By name, so that processes that store at the same time wait for each other in one order.
      const rows = [...counted]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([component, looks]) => ({ component, ...looks }));
      const found = (await sql.begin(async (tx) => {
        if (rows.length > 0)
          await tx.unsafe(
            `INSERT INTO core.uptime AS u (tenant_id, component, hour, looks, up)
             SELECT $1, component, date_trunc('hour', now(), 'UTC'), looks, up FROM json_to_recordset($2::text::json) AS x(component text, looks int, up int)
             ON CONFLICT (tenant_id, component, hour) DO UPDATE SET looks = u.looks + EXCLUDED.looks, up = u.up + EXCLUDED.up`,
            [platformTenant, JSON.stringify(rows)],
            { prepare: true },
          );
        await tx.unsafe(
          `DELETE FROM core.uptime WHERE tenant_id = $1 AND hour < now() - $2::int * interval '1 day'`,
          [platformTenant, keepDays],
          { prepare: true },
        );
        return tx.unsafe(
          `SELECT component, sum(looks)::int AS looks, sum(up)::int AS up FROM core.uptime
           WHERE tenant_id = $1 AND hour > now() - interval '1 day' GROUP BY component`,
          [platformTenant],
          { prepare: true },
        );
      })) as unknown as ({ component: string } & Looks)[];
      stored = new Map(found.map(({ component, looks, up }) => [component, { looks, up }]));
    } catch (error) {
      for (const [component, looks] of counted) open.set(component, plus(open.get(component), looks));
      throw error;
    }
  }

  return {
    note(component: string, isUp: boolean): void {
      open.set(component, plus(open.get(component), { looks: 1, up: Number(isUp) }));
    },
    /** Share of the looks of the last day; null before the first. */
    of(component: string): number | null {
      const { looks, up } = plus(stored.get(component), open.get(component));
      return looks === 0 ? null : up / looks;
    },
    flush,
    start(): { stop(): Promise<void> } {
      let storing: Promise<void> = Promise.resolve();
      const store = () => {
        storing = storing
          .then(flush)
          .catch((error: unknown) => logger.warn({ error: String(error) }, 'looks at the health were not stored'));
      };
      store();
      const timer = setInterval(store, everyMs);
      return {
        async stop() {
          clearInterval(timer);
          store();
          await storing;
        },
      };
    },
  };
}
