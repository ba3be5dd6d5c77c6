import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { parseInput } from '#shared/validation.ts';
import type { Executions } from '../execution/executions.ts';
import * as inputs from '../inputs.ts';
import type { Operations } from '../workflow/operations.ts';

export interface Coordinated {
  readonly executionId: string;
  /** Which operation each module was asked. */
  readonly actions: ReadonlyMap<string, string>;
}

const capital = (name: string) => `${name[0]!.toUpperCase()}${name.slice(1)}`;

/**
 * Asks several modules at once, as a workflow that goes on whatever one of them answers.
 * @throws {UNKNOWN_OPERATION} where one has no such operation, {VALIDATION_FAILED} for a parameter that none takes
 */
export async function coordinate(
  scope: RequestScope,
  raw: unknown,
  { executions, operations }: { readonly executions: Executions; readonly operations: Operations },
): Promise<Coordinated> {
  const { modules, operation, parameters, contextId, mode, waitMs, idempotencyKey } = parseInput(
    inputs.coordinate,
    raw,
  );
  const taken = new Set<string>();
  const actions = new Map<string, string>();
  const steps = modules.map((name, at) => {
    const module = name.toLowerCase();
    const found = [operation, `${module}${capital(operation)}`]
      .map((action) => ({ action, names: operations.argumentsOf(module, action) }))
      .find(({ names }) => names !== null);
    if (!found)
      throw new PlatformError(
        'UNKNOWN_OPERATION',
        `${module} has neither ${operation} nor ${module}${capital(operation)}`,
        {
          path: ['input', 'modules', at],
        },
      );
    actions.set(module, found.action);
    const own = Object.entries(parameters).filter(([parameter]) => found.names!.includes(parameter));
    for (const [parameter] of own) taken.add(parameter);
    return { stepId: module, module, action: found.action, input: Object.fromEntries(own) };
  });
  const idle = Object.keys(parameters).find((parameter) => !taken.has(parameter));
  if (idle !== undefined)
    throw new PlatformError('VALIDATION_FAILED', `none of the modules takes ${idle.slice(0, 60)}`, {
      path: ['input', 'parameters', idle],
    });
  const executionId = await executions.start(scope, {
    ...(contextId == null ? {} : { contextId }),
    ...(idempotencyKey == null ? {} : { idempotencyKey }),
    ...{ wait: true, waitMs, definition: { mode, errorStrategy: 'CONTINUE', steps } },
  });
  return { executionId, actions };
}
