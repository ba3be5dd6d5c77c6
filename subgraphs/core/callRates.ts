import { createHash } from 'node:crypto';
import { runForAll } from '#shared/cancellation.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { createLru } from '#shared/lru.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';

/** What a client may call so often in a minute, and the variable that says how often. */
const variables = {
  status: 'CORE_STATUS_PER_MINUTE',
  health: 'CORE_HEALTH_PER_MINUTE',
  workflow: 'CORE_WORKFLOWS_PER_MINUTE',
  allocation: 'CORE_ALLOCATIONS_PER_MINUTE',
  event: 'CORE_EVENTS_PER_MINUTE',
} as const;
export type CallKind = keyof typeof variables;

const maxClients = 50_000;
/** Parts of a limit that an instance claims at a time: what it does not use of the last one is lost to the others. */
const parts = 20;

interface Share {
  left: number;
  readonly endsAtMs: number;
}

export type CallRates = ReturnType<typeof createCallRates>;

/**
 * Calls of a client in a minute of the database's clock, over all instances: each claims a part of the limit at a time and
 * hands it out from memory. So the limit is never exceeded, and a claim costs one statement for a twentieth of it.
 */
export function createCallRates({ sql, config }: Pick<ModuleRuntime, 'sql' | 'config'>) {
  const shares = createLru<Share>(maxClients);
  const claiming = new Map<string, Promise<Share>>();

  async function claim(tenantId: string, client: string, kind: CallKind, limit: number): Promise<Share> {
    // Asked before the answer is under way: the share ends here no later than its minute there.
    const askedAtMs = performance.now();
    const [row] = (await sql.unsafe(
      `INSERT INTO core.call_rate AS r (tenant_id, client, kind, window_at, taken, granted)
       VALUES ($1, $2, $3, date_trunc('minute', clock_timestamp()), least($4::int, $5::int), least($4::int, $5::int))
       ON CONFLICT (tenant_id, client, kind) DO UPDATE SET window_at = EXCLUDED.window_at,
         granted = CASE WHEN r.window_at = EXCLUDED.window_at THEN greatest(0, least($4::int, $5::int - r.taken)) ELSE EXCLUDED.granted END,
         taken = CASE WHEN r.window_at = EXCLUDED.window_at THEN r.taken + greatest(0, least($4::int, $5::int - r.taken)) ELSE EXCLUDED.taken END
       RETURNING granted, (extract(epoch FROM r.window_at + interval '1 minute' - clock_timestamp()) * 1000)::float8 AS "leftMs"`,
      [tenantId, client, kind, Math.ceil(limit / parts), limit],
      { prepare: true },
    )) as unknown as { granted: number; leftMs: number }[];
    return { left: row!.granted, endsAtMs: askedAtMs + Math.max(0, row!.leftMs) };
  }

  /** The share that is good now; whoever asks while one is claimed waits for the same. */
  async function shareOf(tenantId: string, subject: string, kind: CallKind, limit: number): Promise<Share> {
    const key = JSON.stringify([tenantId, subject, kind]);
    const known = shares.get(key);
    const now = performance.now();
    // One that was refused stays refused for its minute: nobody asks the database for it again.
    if (known !== undefined && known.endsAtMs > now && (known.left > 0 || known.left === exhausted)) return known;
    const running = claiming.get(key);
    if (running !== undefined) return running;
    const client = createHash('sha256').update(key).digest('hex');
    const claimed = runForAll(() => claim(tenantId, client, kind, limit))
      .then((share) => {
        const kept = share.left === 0 ? { ...share, left: exhausted } : share;
        shares.set(key, kept);
        return kept;
      })
      .finally(() => claiming.delete(key));
    claiming.set(key, claimed);
    return claimed;
  }

  return {
    /** @throws {RATE_LIMITED} with the time to the end of the minute */
    async take({ principal: { tenantId, subject } }: Pick<RequestScope, 'principal'>, kind: CallKind): Promise<void> {
      const limit = config[variables[kind]];
      for (;;) {
        const share = await shareOf(tenantId, subject, kind, limit);
        if (share.left > 0) {
          share.left -= 1;
          return;
        }
        if (share.left === exhausted)
          throw new PlatformError('RATE_LIMITED', `expected at most ${limit} calls of this kind in a minute`, {
            retryAfterMs: Math.max(1, Math.ceil(share.endsAtMs - performance.now())),
            details: { kind, perMinute: limit },
          });
      }
    },

    /** Forgets minutes that are over. */
    async sweep(): Promise<void> {
      await sql.unsafe(`DELETE FROM core.call_rate WHERE window_at < now() - interval '1 hour'`);
    },
  };
}

/** Of a share: nothing is left of the whole minute, for nobody. */
const exhausted = -1;
