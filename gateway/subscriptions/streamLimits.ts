import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';

export interface StreamLimitOptions {
  /** Operations at once on one WebSocket, streams on one HTTP connection. */
  readonly maxPerConnection: number;
  /** Subscriptions of one subject of a tenant at once, over all its connections to this instance. */
  readonly maxPerSubject: number;
  /** Subscriptions this instance carries at once. */
  readonly maxPerInstance: number;
}

/** Bounds what runs at once, the same for every transport; the options are looked at each time. What is taken is given back once, by the function returned. */
export interface StreamLimits {
  /** @throws {QUOTA_EXCEEDED} when the connection runs its maximum of operations. */
  takeOperation(connection: object): () => void;
  /**
   * A subscription on top of its operation.
   * @throws {QUOTA_EXCEEDED} when the subject has its maximum, {UNAVAILABLE} when the instance does.
   */
  takeSubscription(principal: Principal): () => void;
}

export function createStreamLimits(options: StreamLimitOptions): StreamLimits {
  const onConnection = new WeakMap<object, number>();
  const ofSubject = new Map<string, number>();
  let running = 0;

  return {
    takeOperation(connection) {
      const { maxPerConnection } = options;
      const count = onConnection.get(connection) ?? 0;
      if (count >= maxPerConnection)
        throw new PlatformError(
          'QUOTA_EXCEEDED',
          `At most ${maxPerConnection} operations run at once on one connection.`,
        );
      onConnection.set(connection, count + 1);
      return once(() => onConnection.set(connection, (onConnection.get(connection) ?? 1) - 1));
    },

    takeSubscription({ tenantId, subject }) {
      const { maxPerSubject, maxPerInstance } = options;
      const key = JSON.stringify([tenantId, subject]);
      const count = ofSubject.get(key) ?? 0;
      if (count >= maxPerSubject)
        throw new PlatformError('QUOTA_EXCEEDED', `At most ${maxPerSubject} subscriptions of one subject run at once.`);
      if (running >= maxPerInstance)
        throw new PlatformError('UNAVAILABLE', `This instance carries its ${maxPerInstance} subscriptions.`, {
          retryAfterMs: 1_000,
        });
      ofSubject.set(key, count + 1);
      running += 1;
      return once(() => {
        running -= 1;
        const left = (ofSubject.get(key) ?? 1) - 1;
        if (left === 0) ofSubject.delete(key);
        else ofSubject.set(key, left);
      });
    },
  };
}

function once(release: () => void): () => void {
  let released = false;
  return () => {
    if (released) return;
    released = true;
    release();
  };
}
