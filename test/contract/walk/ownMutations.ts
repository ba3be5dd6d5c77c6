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
  const problems: string[] = [];
  let worlds = 0;
  let world = await seed(worlds);
  for (const field of mutations) {
    if ((await attempt(world, field)) === null) continue;
    // Those before may have closed or used up what this one needs: a world of its own says whether it works.
    worlds += 1;
    world = await seed(worlds);
    const problem = await attempt(world, field);
    if (problem !== null) problems.push(problem);
  }
  return problems;
}
