import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    // vitest otherwise loads graphql once as CommonJS and once as ESM: "another module or realm".
    alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }],
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/globalSetup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
