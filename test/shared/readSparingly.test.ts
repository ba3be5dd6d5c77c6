import { Counter, Gauge, Registry } from 'prom-client';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { readSparingly } from '#shared/metrics/readSparingly.ts';

afterEach(() => void vi.useRealTimers());

describe('readings of the machine', () => {
  it('are taken once a second, beside counters that are told as they stand', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const registry = new Registry();
    let reads = 0;
    new Gauge({
      name: 'read',
      help: 'h',
      registers: [registry],
      collect() {
        reads += 1;
        this.set(reads);
      },
    });
    const counted = new Counter({ name: 'counted', help: 'h', registers: [registry] });
    readSparingly(registry, ['read', 'counted', 'unknown']);
    const told = async () => {
      counted.inc();
      const text = await registry.metrics();
      return ['read', 'counted'].map((name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]));
    };
    expect(await told()).toEqual([1, 1]);
    vi.advanceTimersByTime(999);
    expect(await told()).toEqual([1, 2]);
    vi.advanceTimersByTime(1);
    expect(await told()).toEqual([2, 3]);
  });
});
