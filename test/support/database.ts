import { inject } from 'vitest';
import { createScratchDatabase } from '../../prisma/scratch.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Server of this run, as a role that may create databases. */
    databaseUrl: string;
    redisUrl: string;
    templateDatabase: string;
    /** Marks what this run makes on servers it shares. */
    runId: string;
    /** Where the run's shared platforms are asked for; see `sharePlatform`. */
    sharedPlatforms: string;
  }
}

export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  /** Cuts whoever is still connected and deletes the database. */
  drop(): Promise<void>;
}

/** A database of the test's own with all migrations applied: a copy of the run's template, made in 20 to 60 ms on an idle machine. */
export async function createTestDatabase(): Promise<TestDatabase> {
  return createScratchDatabase(inject('databaseUrl'), {
    template: inject('templateDatabase'),
    prefix: testPrefix(inject('runId')),
  });
}

export function testPrefix(runId: string): string {
  return `mplp_test_${runId}`;
}
