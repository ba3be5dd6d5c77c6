import type { Socket } from 'node:net';

/** A delayed direction that holds this much stops reading, so that a delay is no unbounded buffer. */
const maxHeldBytes = 1_048_576;

/** Faults in force, read anew for every chunk. */
export interface Faults {
  paused: boolean;
  delayMs: number;
}

export interface PipeOptions {
  readonly from: Socket;
  readonly to: Socket;
  readonly faults: Faults;
  count(bytes: number): void;
  /** Called when the byte budget is used up and its last byte was handed to the system. */
  onBudgetSpent(): void;
}

export interface Pipe {
  /** Bytes that may still pass. */
  setBudget(bytes: number): void;
  /** Reads on if neither a fault nor back pressure forbids it. */
  update(): void;
  stop(): void;
}

/** Forwards one direction of a connection, with its own queue of delayed chunks. */
export function createPipe({ from, to, faults, count, onBudgetSpent }: PipeOptions): Pipe {
  let held: { chunk: Buffer | null; dueAtMs: number }[] = [];
  let heldBytes = 0;
  let budget = Number.POSITIVE_INFINITY;
  let blocked = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  function update(): void {
    if (stopped) return;
    if (faults.paused || blocked || heldBytes >= maxHeldBytes) from.pause();
    else from.resume();
    flush();
  }

  function write(chunk: Buffer): void {
    if (chunk.length < budget) {
      budget -= chunk.length;
      count(chunk.length);
      if (!to.write(chunk)) {
        blocked = true;
        update();
      }
      return;
    }
    stopped = true;
    const last = chunk.subarray(0, budget);
    count(last.length);
    from.pause();
    if (last.length === 0) onBudgetSpent();
    else to.write(last, () => onBudgetSpent());
  }

  function flush(): void {
    clearTimeout(timer);
    while (!stopped && !faults.paused && held[0] && held[0].dueAtMs <= performance.now()) {
      const { chunk } = held.shift()!;
      if (chunk) {
        heldBytes -= chunk.length;
        write(chunk);
      } else to.end();
    }
    if (!stopped && !faults.paused && held[0])
      timer = setTimeout(update, Math.max(1, held[0].dueAtMs - performance.now()));
  }

  function hold(chunk: Buffer | null): void {
    if (stopped) return;
    if (held.length === 0 && faults.delayMs === 0 && !faults.paused) {
      if (chunk) write(chunk);
      else to.end();
      return;
    }
    heldBytes += chunk?.length ?? 0;
    // Never before the chunk in front of it, also when the delay was shortened meanwhile.
    held.push({ chunk, dueAtMs: Math.max(performance.now() + faults.delayMs, held.at(-1)?.dueAtMs ?? 0) });
    update();
  }

  from.on('data', (chunk: Buffer) => hold(chunk));
  from.on('end', () => hold(null));
  to.on('drain', () => {
    blocked = false;
    update();
  });

  return {
    update,
    setBudget: (bytes) => {
      budget = bytes;
    },
    stop() {
      stopped = true;
      held = [];
      clearTimeout(timer);
    },
  };
}
