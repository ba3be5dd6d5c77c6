import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Commands } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { createPlanCreation } from './creation.ts';
import type { Decompositions } from './decompositions.ts';
import { createPlanEdits } from './edits.ts';
import { createPlanMoves } from './moves.ts';
import { createPlanChanges } from './planChanges.ts';

export type Plans = ReturnType<typeof createPlans>;

/** Plans until they run: created, edited as drafts, proposed, approved, taken back. */
export function createPlans(
  runtime: ModuleRuntime,
  {
    commands,
    contexts,
    decompositions,
  }: { readonly commands: Commands; readonly contexts: Contexts; readonly decompositions: Decompositions },
) {
  const changes = createPlanChanges(commands);
  return {
    ...createPlanCreation(runtime, { contexts, decompositions }),
    ...createPlanEdits(changes),
    ...createPlanMoves(commands, changes),
  };
}
