import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import { collectStartGarbage } from '#shared/startGarbage.ts';

type GcEntry = PerformanceEntry & { readonly detail: { readonly kind: number; readonly flags: number } };

test('what a start leaves behind is collected once, after it', async () => {
  const collected = Promise.withResolvers<void>();
  const observer = new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries() as GcEntry[]) {
      const { kind, flags } = detail;
      // Asked for, not for want of room.
      if (kind === constants.NODE_PERFORMANCE_GC_MAJOR && (flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0)
        collected.resolve();
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  const held = { alive: true };
  const garbage = new WeakRef({ alive: true });
  collectStartGarbage(1);
  await collected.promise;
  observer.disconnect();
  expect([garbage.deref(), held.alive]).toEqual([undefined, true]);
});
