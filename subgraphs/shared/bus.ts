import type { EphemeralEvent, EventRow } from './events.ts';

export type BusMessage = EventRow | EphemeralEvent;
export type BusListener = (messages: readonly BusMessage[]) => void;

/**
 * Carries committed events to everyone who listens, fast and at most once. What it loses, the event tables still hold:
 * listeners that must not miss anything compare sequences and read the table.
 */
export interface Bus {
  /** Hands the messages to every listener of every instance. Never throws and never waits for a slow peer. */
  publish(messages: readonly BusMessage[]): void;
  /** Listens to everything of one module (`*`: of all). Returns the function that stops it. */
  subscribe(module: BusMessage['module'] | '*', listener: BusListener): () => void;
  /** False while events of other instances cannot arrive (Redis unreachable): readers then poll. */
  readonly connected: boolean;
  close(): Promise<void>;
}

/** Messages by module, in their order; those of one module, as a transaction writes them, as they are. */
export function groupByModule(
  messages: readonly BusMessage[],
): Iterable<readonly [BusMessage['module'], readonly BusMessage[]]> {
  const first = messages[0];
  if (first === undefined) return [];
  const { module } = first;
  if (messages.every((message) => message.module === module)) return [[module, messages]];
  return Map.groupBy(messages, (message) => message.module);
}

/** Calls every listener; one that throws is reported and does not stop the rest. */
export function createListenerSet(onError: (error: unknown) => void) {
  const byModule = new Map<string, Set<BusListener>>();
  return {
    add(module: string, listener: BusListener): () => void {
      const set = byModule.get(module) ?? new Set();
      byModule.set(module, set);
      set.add(listener);
      return () => set.delete(listener);
    },
    dispatch(messages: readonly BusMessage[]): void {
      for (const [module, group] of groupByModule(messages)) {
        for (const key of [module, '*']) {
          for (const listener of byModule.get(key) ?? []) {
            try {
              listener(group);
            } catch (error) {
              onError(error);
            }
          }
        }
      }
    },
  };
}

/** The bus of a single process. */
export function createLocalBus(onError: (error: unknown) => void): Bus {
  const listeners = createListenerSet(onError);
  return {
    connected: true,
    publish: (messages) => listeners.dispatch(messages),
    subscribe: (module, listener) => listeners.add(module, listener),
    close: async () => {},
  };
}
