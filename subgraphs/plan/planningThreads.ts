import { PlatformError } from '#shared/errors.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';

type Compute = ModuleRuntime['compute'];

/** The compute pool, as the algorithms of this module use it. */
export function createPlanningThreads({
  compute,
  logger,
}: Pick<ModuleRuntime, 'compute' | 'logger'>): Pick<Compute, 'run'> {
  return {
    /** @throws {PLANNING_ALGORITHM_ERROR} where an algorithm breaks off; what it refuses with a code keeps it. */
    async run(module, name, input, options) {
      try {
        return await compute.run(module, name, input, options);
      } catch (error) {
        if (options.signal?.aborted === true) throw error;
        if (error instanceof PlatformError && error.code !== 'INTERNAL_ERROR') throw error;
        logger.error(
          { error: error instanceof Error ? (error.stack ?? error.message) : String(error), name },
          'a planning algorithm broke off',
        );
        throw new PlatformError('PLANNING_ALGORITHM_ERROR', `${name} broke off without a result`, {
          cause: error,
        });
      }
    },
  };
}
