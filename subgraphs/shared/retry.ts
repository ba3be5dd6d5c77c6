import { ExponentialBackoff, handleWhen, type RetryPolicy, retry } from 'cockatiel';

const transientStates = new Set(['40001', '40P01', '57P01', '08006', '08003']);

/** True for what PostgreSQL asks the caller to try again: serialization failure, deadlock, lost connection before commit. */
export function isTransient(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  if ('code' in error && typeof error.code === 'string') {
    if (transientStates.has(error.code) || error.code === 'P2034') return true;
  }
  const cause =
    'meta' in error && typeof error.meta === 'object' && error.meta !== null ? JSON.stringify(error.meta) : '';
  return /"(?:originalC|c)ode":"(?:40001|40P01)"/.test(cause);
}

/** The one policy for transactions: three further tries, 5 ms doubling, jittered. Only for work that has not committed. */
export const transactionRetry: RetryPolicy = retry(
  handleWhen((error) => isTransient(error) && !isConnectionLoss(error)),
  { maxAttempts: 3, backoff: new ExponentialBackoff({ initialDelay: 5, maxDelay: 100 }) },
);

/** After a lost connection nobody knows whether the commit happened: that is for idempotency keys, not for a retry. */
function isConnectionLoss(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^(08|57)/.test(error.code)
  );
}
