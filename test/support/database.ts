import { inject } from 'vitest';
import { createScratchDatabase } from '../../prisma/scratch.ts';
import type { Templates } from './template.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Server of this run, as a role that may create databases. */
    databaseUrl: string;
    redisUrl: string;
    templates: Templates;
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

/**
 * A database of the test's own with all migrations applied: a copy of one of the run's templates, made in 20 to 60 ms on an
 * idle machine.
 */
export async function createTestDatabase(template: keyof Templates = 'migrated'): Promise<TestDatabase> {
  return createScratchDatabase(inject('databaseUrl'), {
    template: inject('templates')[template],
    prefix: testPrefix(inject('runId')),
  });
}

export function testPrefix(runId: string): string {
  return `mplp_test_${runId}`;
}
