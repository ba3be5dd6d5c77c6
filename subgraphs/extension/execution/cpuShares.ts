import { PlatformError } from '#shared/errors.ts';
import { createLru } from '#shared/lru.ts';

interface Account {
  /** CPU that may be taken at once; below zero what has been taken too much, ms. */
  balanceMs: number;
  atMs: number;
}

/** What may be taken at once is the share of this long. */
const burstOfMs = 10_000;
const maxAccounts = 20_000;

/**
 * What extensions take of a core, held to their shares: each call is paid for once it is over, by an account that fills
 * with time (leaky bucket as a meter, Turner 1986). What one call took beyond what there was, later ones wait for, so over
 * any time an extension takes its share, one burst and one call at most. Of this process: it is its threads that they run on.
 */
export function createCpuShares() {
  const accounts = createLru<Account>(maxAccounts);

  function accountOf(key: string, percent: number, nowMs: number): Account {
    const most = (burstOfMs * percent) / 100;
    const account = accounts.get(key) ?? { balanceMs: most, atMs: nowMs };
    account.balanceMs = Math.min(most, account.balanceMs + ((nowMs - account.atMs) * percent) / 100);
    account.atMs = nowMs;
    accounts.set(key, account);
    return account;
  }

  return {
    /** Until it may run again, ms; 0 where it may. */
    waitOf(key: string, percent: number, nowMs = performance.now()): number {
      if (percent >= 100) return 0;
      const { balanceMs } = accountOf(key, percent, nowMs);
      return balanceMs > 0 ? 0 : Math.max(1, Math.ceil((-balanceMs * 100) / percent));
    },

    /** @throws {RATE_LIMITED} saying when it may run again */
    require(key: string, percent: number, nowMs = performance.now()): void {
      const retryAfterMs = this.waitOf(key, percent, nowMs);
      if (retryAfterMs > 0)
        throw new PlatformError('RATE_LIMITED', `the extension has taken its ${percent} % of a core`, { retryAfterMs });
    },

    charge(key: string, percent: number, cpuMs: number, nowMs = performance.now()): void {
      if (percent < 100) accountOf(key, percent, nowMs).balanceMs -= cpuMs;
    },
  };
}

export type CpuShares = ReturnType<typeof createCpuShares>;
