/** Something with output that waits for the end of the current turn of the event loop. */
export interface Flushable {
  flush(): void;
}

/** Collects what became dirty in a turn and flushes each once at its end: many messages of one socket are one write. */
export function createTickFlusher() {
  let dirty: Flushable[] = [];
  let isScheduled = false;

  const flushAll = (): void => {
    isScheduled = false;
    const flushables = dirty;
    dirty = [];
    for (const flushable of flushables) flushable.flush();
  };

  return {
    /** The caller asks once per turn: it remembers whether it has. */
    schedule(flushable: Flushable): void {
      dirty.push(flushable);
      if (isScheduled) return;
      isScheduled = true;
      setImmediate(flushAll);
    },
    flushAll,
  };
}

export type TickFlusher = ReturnType<typeof createTickFlusher>;
