import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longestFirst.ts';

export default defineConfig({
  resolve: {
    // vitest otherwise loads graphql once as CommonJS and once as ESM: "another module or realm".
    alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }],
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/globalSetup.ts'],
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
