import { CircuitState, type IBreaker } from 'cockatiel';

/** Figures of the alpha documentation: five failures within a minute, half a minute of rest. */
export const circuitFigures = { maxFailures: 5, windowMs: 60_000, recoveryMs: 30_000 } as const;

export interface WindowBreakerOptions {
  /** @default 5 */
  readonly maxFailures?: number;
  /** @default 60_000 */
  readonly windowMs?: number;
  /** Part of the calls within the window that must have failed, too. @default 0: what succeeds between them does not count */
  readonly minRatio?: number;
}

interface Slot {
  readonly at: number;
  succeeded: number;
  failed: number;
}

const slots = 60;

/** Opens with the last of so many failures within a window; the window moves in sixtieths. */
export class WindowBreaker implements IBreaker {
  #slots: Slot[] = [];
  readonly #maxFailures: number;
  readonly #windowMs: number;
  readonly #minRatio: number;

  constructor(options: WindowBreakerOptions = {}) {
    this.#maxFailures = options.maxFailures ?? circuitFigures.maxFailures;
    this.#windowMs = options.windowMs ?? circuitFigures.windowMs;
    this.#minRatio = options.minRatio ?? 0;
  }

  get state(): unknown {
    return this.#slots;
  }
  set state(value: unknown) {
    this.#slots = value as Slot[];
  }

  success(state: CircuitState): void {
    if (state === CircuitState.HalfOpen) this.#slots = [];
    else this.#slot().succeeded += 1;
  }

  failure(): boolean {
    this.#slot().failed += 1;
    const from = Date.now() - this.#windowMs;
    this.#slots = this.#slots.filter(({ at }) => at > from);
    const failed = this.#slots.reduce((sum, slot) => sum + slot.failed, 0);
    const all = this.#slots.reduce((sum, slot) => sum + slot.failed + slot.succeeded, 0);
    return failed >= this.#maxFailures && failed >= this.#minRatio * all;
  }

  #slot(): Slot {
    const length = Math.max(1, Math.floor(this.#windowMs / slots));
    const at = Math.floor(Date.now() / length) * length;
    const last = this.#slots.at(-1);
    if (last?.at === at) return last;
    const slot = { at, succeeded: 0, failed: 0 };
    this.#slots.push(slot);
    if (this.#slots.length > slots + 1) this.#slots.shift();
    return slot;
  }
}
