import { runForAll } from './cancellation.ts';

export interface BatcherOptions<Item, Result> {
  /** Items of one run at most. */
  readonly maxItems: number;
  /** Milliseconds the first item waits for company; 0: until the event loop has handed over what has arrived. */
  readonly maxDelayMs: number;
  /** Runs at the same time at most; further items gather meanwhile. @default 4 */
  readonly maxRuns?: number;
  /** Items of one lane are never in two runs at the same time: later ones gather until the run is over. @default none */
  readonly laneOf?: (item: Item) => string;
  /** Does the work for all items in one transaction; the results stand in the items' order, an Error fails its item alone. */
  readonly run: (items: readonly Item[]) => Promise<readonly (Result | Error)[]>;
}

export interface Batcher<Item, Result> {
  /** Resolves after the run that held the item has committed. */
  add(item: Item): Promise<Result>;
  /** Resolves when nothing is waiting or running any more. */
  drain(): Promise<void>;
  readonly size: number;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: concurrent calls share one transaction. While all runs are busy items gather, so the batch grows with
 * the load and an idle system pays at most `maxDelayMs`.
 */
export function createBatcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  const { laneOf } = options;
  const maxRuns = options.maxRuns ?? 4;
  const busy = new Set<string>();
  let waiting: Waiting<Item, Result>[] = [];
  let cancelTimer: (() => void) | null = null;
  let running = 0;
  let idle: (() => void)[] = [];

  /** The longest waiting, of lanes that are free. */
  function take(): Waiting<Item, Result>[] {
    const batch: Waiting<Item, Result>[] = [];
    const left: Waiting<Item, Result>[] = [];
    for (const entry of waiting) {
      const isFree = laneOf === undefined || !busy.has(laneOf(entry.item));
      if (isFree && batch.length < options.maxItems) batch.push(entry);
      else left.push(entry);
    }
    waiting = left;
    return batch;
  }

  async function start(): Promise<void> {
    cancelTimer?.();
    cancelTimer = null;
    if (running >= maxRuns) return;
    const batch = take();
    if (batch.length === 0) return;
    const lanes = new Set(laneOf === undefined ? [] : batch.map((entry) => laneOf(entry.item)));
    for (const lane of lanes) busy.add(lane);
    running += 1;
    try {
      const results = await runForAll(() => options.run(batch.map((entry) => entry.item)));
      batch.forEach((entry, index) => {
        const result = results[index];
        if (result instanceof Error) entry.reject(result);
        else if (index < results.length) entry.resolve(result as Result);
        else entry.reject(new Error(`the batch answered ${results.length} of ${batch.length} items`));
      });
    } catch (error) {
      for (const entry of batch) entry.reject(error);
    } finally {
      running -= 1;
      for (const lane of lanes) busy.delete(lane);
      if (waiting.length > 0) void start();
      else if (running === 0) {
        for (const resolve of idle) resolve();
        idle = [];
      }
    }
  }

  return {
    add(item) {
      return new Promise<Result>((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        // The run that holds its lane starts the next when it is over.
        if (laneOf !== undefined && busy.has(laneOf(item))) return;
        if (waiting.length >= options.maxItems) void start();
        else if (!cancelTimer && running < maxRuns) cancelTimer = schedule(() => void start(), options.maxDelayMs);
      });
    },
    drain() {
      if (waiting.length > 0) void start();
      return waiting.length === 0 && running === 0 ? Promise.resolve() : new Promise((resolve) => idle.push(resolve));
    },
    get size() {
      return waiting.length;
    },
  };
}

function schedule(work: () => void, delayMs: number): () => void {
  if (delayMs === 0) {
    const immediate = setImmediate(work);
    return () => clearImmediate(immediate);
  }
  const timer = setTimeout(work, delayMs);
  return () => clearTimeout(timer);
}
