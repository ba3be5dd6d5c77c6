import type { GraphQLAnswer } from '../../support/platform.ts';
import { missed } from './exceptions.ts';
import { type RootField, type Variant, variantsOf } from './schema.ts';
import type { World } from './seed.ts';
import { valuesFor } from './values.ts';

export interface OwnMutations {
  readonly mutations: readonly RootField[];
  readonly cursors: ReadonlyMap<string, string>;
  /** A world of the owner's, the nth. */
  readonly seed: (nth: number) => Promise<World>;
  readonly ask: (field: RootField, variant: Variant) => Promise<GraphQLAnswer>;
}

/** What the arguments that others were refused with do not do for the owner itself. */
export async function findOwnersProblems({ mutations, cursors, seed, ask }: OwnMutations): Promise<string[]> {
  const attempt = async (world: World, field: RootField): Promise<string | null> => {
    const answer = await ask(field, variantsOf(field, valuesFor(field, world, cursors))[0]!);
    const payload = answer.data?.[field.name] as
      | { userErrors?: { code: string; message: string }[] }
      | null
      | undefined;
    const failures = [
      ...answer.errors.map((error) => `${error.extensions.code} ${error.message}`),
      ...(payload?.userErrors ?? []).map((error) => `${error.code} ${error.message}`),
    ];
    const isMissed = !payload || failures.some((failure) => missed.has(failure.split(' ')[0]!));
    return isMissed ? `${field.name}: ${failures.join('; ')}` : null;
  };
  // Those before may have closed or used up what one needs: it is tried again in a world where fewer come before it.
  let left = mutations;
  for (let worlds = 0; left.length > 0; worlds += 1) {
    const world = await seed(worlds);
    const failed: { field: RootField; problem: string }[] = [];
    for (const field of left) {
      const problem = await attempt(world, field);
      if (problem !== null) failed.push({ field, problem });
    }
    // The first of them had the world for itself.
    if (failed[0]?.field === left[0]) return failed.map(({ problem }) => problem);
    left = failed.map(({ field }) => field);
  }
  return [];
}
