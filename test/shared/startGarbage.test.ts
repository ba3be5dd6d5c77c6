import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import { collectStartGarbage } from '#shared/startGarbage.ts';

type GcEntry = PerformanceEntry & { readonly detail: { readonly kind: number } };

test('what a start leaves behind is collected once, after it', async () => {
  const collected = Promise.withResolvers<void>();
  const observer = new PerformanceObserver((list) => {
    const entries = list.getEntries() as GcEntry[];
    // V8 does not say of this kind that it was asked for. By itself it makes none while a test of ms fills nothing.
    if (entries.some(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR)) collected.resolve();
  });
  observer.observe({ entryTypes: ['gc'] });
  const held = { alive: true };
  const garbage = new WeakRef({ alive: true });
  collectStartGarbage(1);
  await collected.promise;
  observer.disconnect();
  expect([garbage.deref(), held.alive]).toEqual([undefined, true]);
});
