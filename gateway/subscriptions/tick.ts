/** Something with output that waits for the end of the current turn of the event loop. */
export interface Flushable {
  flush(): void;
}

/** Something that fills outputs at the end of the turn, before they are flushed. */
export interface Deliverer {
  /** @param isAlone nothing else fills outputs in this turn: it flushes each as soon as it has filled it */
  deliver(isAlone: boolean): void;
}

/**
 * Collects what became dirty in a turn of the event loop and flushes each once at its end: many messages of one socket are one
 * write, and who caused them has its answer first.
 */
export function createTickFlusher(onError: (error: unknown) => void) {
  let deliverers: Deliverer[] = [];
  let dirty: Flushable[] = [];
  let isScheduled = false;
  let isDirect = false;

  const flushAll = (): void => {
    isScheduled = false;
    const delivering = deliverers;
    deliverers = [];
    // The usual case of one event for many sockets: filled and written in one pass, each is looked up in memory once.
    isDirect = delivering.length === 1 && dirty.length === 0;
    for (const deliverer of delivering) attempt(() => deliverer.deliver(isDirect));
    isDirect = false;
    const flushables = dirty;
    dirty = [];
    for (const flushable of flushables) attempt(() => flushable.flush());
  };

  /** One that throws is reported and does not stop the rest, nor the process. */
  function attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      onError(error);
    }
  }

  const wake = (): void => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(flushAll);
  };

  return {
    /** The caller asks once per turn: it remembers whether it has. */
    schedule(flushable: Flushable): void {
      // Whoever delivers alone flushes it.
      if (isDirect) return;
      dirty.push(flushable);
      wake();
    },
    /** Asked once per turn, as `schedule`. */
    deliver(deliverer: Deliverer): void {
      deliverers.push(deliverer);
      wake();
    },
    flushAll,
  };
}

export type TickFlusher = ReturnType<typeof createTickFlusher>;
