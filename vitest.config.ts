import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longestFirst.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/globalSetup.ts'],
    // Modules are loaded by Node, as they are in service, and compiled once for all runs.
    experimental: { viteModuleRunner: false },
    pool: 'forks',
    // Files wait for timers and processes: two lanes left a quarter of two cores idle, three a twentieth.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // A worker a file would spend a second of a core on each of two hundred files. What a module remembers between
    // files is therefore shared: a test that counts from nothing loads its module anew.
    isolate: false,
    // Tests that run beside each other in a file wait for what must not come.
    maxConcurrency: 16,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
