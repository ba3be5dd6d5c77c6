interface Ticker {
  readonly timer: NodeJS.Timeout;
  readonly works: Set<() => void>;
}

/** By ms between two ticks. */
const tickers = new Map<number, Ticker>();

/**
 * Calls `work` every `everyMs`, in the same turn as everything else that is called so often: what each of them asks the
 * database is then asked at one moment, and may share a statement. As many timers of their own would spread over the
 * second, and no two meet.
 * @returns ends it
 */
export function everyTick(everyMs: number, work: () => void): () => void {
  // Of its own, so that one function given twice is called twice.
  const own = () => work();
  let ticker = tickers.get(everyMs);
  if (ticker === undefined) {
    const works = new Set<() => void>();
    const timer = setInterval(() => {
      for (const each of works) each();
    }, everyMs);
    ticker = { timer, works };
    tickers.set(everyMs, ticker);
  }
  const { timer, works } = ticker;
  works.add(own);
  return () => {
    if (!works.delete(own) || works.size > 0) return;
    clearInterval(timer);
    tickers.delete(everyMs);
  };
}
