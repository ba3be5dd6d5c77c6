import { type Bus, type BusMessage, createLocalBus } from '#shared/bus.ts';

/** A bus whose `publish` can lose, hold back and repeat what it is given. */
export interface FaultyBus extends Bus {
  connected: boolean;
  /** `false` loses everything published from now on. */
  carries: boolean;
  publish(messages: readonly BusMessage[]): void;
}

export function createFaultyBus(): FaultyBus {
  const inner = createLocalBus((error) => {
    throw error;
  });
  return {
    connected: true,
    carries: true,
    publish(messages) {
      if (this.carries) inner.publish(messages);
    },
    subscribe: (module, listener) => inner.subscribe(module, listener),
    close: () => inner.close(),
  };
}
