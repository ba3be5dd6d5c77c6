import type { Logger } from '#shared/telemetry.ts';
import type { VerificationKey } from './jwt.ts';

/** Where verification keys come from: read now without waiting, renewed in the background. */
export interface KeySource {
  readonly keys: readonly VerificationKey[];
  /**
   * Renews the keys because one is missing. Undefined when a renewal would not help or came too recently; the promise
   * never rejects, since the last good keys stay in force.
   */
  renew(): Promise<void> | undefined;
  /** Called with the ids of keys that are no longer trusted. */
  onRemoved(listener: (keyIds: ReadonlySet<string>) => void): void;
  close(): void;
}

export interface RenewedKeySourceOptions {
  readonly name: string;
  readonly initial: readonly VerificationKey[];
  load(): Promise<readonly VerificationKey[]>;
  readonly refreshMs: number;
  /** Least time between two renewals that tokens with unknown keys can cause. */
  readonly cooldownMs: number;
  readonly now: () => number;
  readonly logger: Pick<Logger, 'debug' | 'info' | 'warn'>;
}

/** While there is no key at all nothing can be verified: the issuer is asked again sooner. */
const emptyCooldownMs = 1_000;

/** Keeps the last keys that could be loaded, loads anew on a timer and on demand, and tells which keys vanished. */
export function createRenewedKeySource(options: RenewedKeySourceOptions): KeySource {
  const { name, load, refreshMs, cooldownMs, now, logger } = options;
  const listeners: ((keyIds: ReadonlySet<string>) => void)[] = [];
  let keys = options.initial;
  let pending: Promise<void> | undefined;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function adopt(next: readonly VerificationKey[]): void {
    const kept = new Set(next.map((key) => key.id));
    const removed = new Set(keys.filter((key) => !kept.has(key.id)).map((key) => key.id));
    if (removed.size > 0 || next.length !== keys.length) {
      logger.info({ source: name, keys: next.length, removed: removed.size }, 'verification keys changed');
    }
    keys = next;
    if (removed.size > 0) for (const listener of listeners) listener(removed);
  }

  function schedule(delayMs: number): void {
    if (closed) return;
    clearTimeout(timer);
    timer = setTimeout(() => void run(), delayMs).unref();
  }

  function run(): Promise<void> {
    triedAtMs = now();
    pending ??= load()
      .then((next) => {
        if (closed) return;
        adopt(next);
        schedule(refreshMs);
      })
      .catch((error: unknown) => {
        if (closed) return;
        logger.warn(
          { source: name, keys: keys.length, error: String(error) },
          'verification keys could not be renewed; the last ones stay in force',
        );
        schedule(Math.min(refreshMs, cooldownMs));
      })
      .finally(() => {
        pending = undefined;
      });
    return pending;
  }

  if (options.initial.length === 0) void run();
  else schedule(refreshMs);

  return {
    get keys() {
      return keys;
    },
    renew() {
      if (pending) return pending;
      if (now() - triedAtMs < (keys.length === 0 ? Math.min(emptyCooldownMs, cooldownMs) : cooldownMs))
        return undefined;
      return run();
    },
    onRemoved: (listener) => void listeners.push(listener),
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** Several sources as one, in order. */
export function joinKeySources(sources: readonly KeySource[]): KeySource {
  const [only] = sources;
  if (only && sources.length === 1) return only;
  return {
    get keys() {
      return sources.flatMap((source) => source.keys);
    },
    renew() {
      const renewals = sources.map((source) => source.renew()).filter((renewal) => renewal !== undefined);
      return renewals.length === 0 ? undefined : Promise.all(renewals).then(() => undefined);
    },
    onRemoved(listener) {
      for (const source of sources) source.onRemoved(listener);
    },
    close() {
      for (const source of sources) source.close();
    },
  };
}

/** Keys that never change. */
export function createFixedKeySource(keys: readonly VerificationKey[]): KeySource {
  return { keys, renew: () => undefined, onRemoved: () => {}, close: () => {} };
}
