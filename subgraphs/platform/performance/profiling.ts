import { z } from 'zod';
import { operatorTenantOf } from '#shared/config.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Once } from '#shared/once.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { createProfiler, type Profile } from './profiler.ts';

const input = z.object({
  maxSeconds: z.number().int().min(1).max(120),
  sampleIntervalUs: z.number().int().min(100).max(100_000),
});

/** Profiles of the process that answers, for the operators: functions of the platform are nobody else's. */
export function createProfiling({ config }: Pick<ModuleRuntime, 'config'>, once: Once) {
  const profiler = createProfiler();

  const isOperator = ({ principal }: RequestScope) => operatorTenantOf(config) === principal.tenantId;

  function requireOperator(scope: RequestScope): void {
    if (!isOperator(scope))
      throw new PlatformError('PERMISSION_DENIED', 'processes are profiled by the operator’s tenant');
  }

  /** Written once it is done: what is audited did happen. */
  const audited = (
    scope: RequestScope,
    change: 'started' | 'stopped',
    { id, maxSeconds }: { id: string; maxSeconds?: number },
  ) =>
    once<null>(scope, {
      call: null,
      repeat: async () => null,
      write: async () => ({
        row: null,
        response: {},
        changes: [
          {
            events: [],
            audit: [
              {
                ...{ action: `profile.${change}`, resource: 'Profile', resourceId: id },
                detail: maxSeconds === undefined ? {} : { maxSeconds },
              },
            ],
          },
        ],
      }),
    });

  return {
    /** @throws {PERMISSION_DENIED} {INVALID_STATE} while one runs. {VALIDATION_FAILED} */
    async start(scope: RequestScope, given: unknown): Promise<Profile> {
      requireOperator(scope);
      const { maxSeconds, sampleIntervalUs } = parseInput(input, given, []);
      const startedBy = scope.principal.subject;
      const profile = await profiler.start({ startedBy, sampleIntervalUs, maxMs: maxSeconds * 1_000 });
      await audited(scope, 'started', { id: profile.id, maxSeconds });
      return profile;
    },

    /** @throws {PERMISSION_DENIED} {INVALID_STATE} where none runs in the instance that answers. */
    async stop(scope: RequestScope): Promise<Profile> {
      requireOperator(scope);
      const profile = await profiler.stop();
      await audited(scope, 'stopped', { id: profile.id });
      return profile;
    },

    /** Null to other tenants. */
    current: (scope: RequestScope): Profile | null => (isOperator(scope) ? profiler.current() : null),

    close: () => profiler.close(),
  };
}

export function shownProfile({ functions, ...profile }: Profile) {
  return { ...profile, isRunning: profile.endedAt === null, functions: functions === null ? null : [...functions] };
}
