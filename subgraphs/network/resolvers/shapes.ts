import { type PlatformError, toUserError } from '#shared/errors.ts';
import type { UserError } from '../resolvers.generated.ts';
import type { InfeasibilityValue } from '../rows.ts';

/** What proves that something does not fit, in GraphQL's shape. */
export function infeasibilityShape(value: InfeasibilityValue) {
  return {
    ...value,
    linkIds: [...value.linkIds],
    nodeIds: [...value.nodeIds],
    demands: [...value.demands],
  };
}

/** An expected failure beside an answer. */
export function userErrorShape(error: PlatformError): UserError {
  const { path, ...rest } = toUserError(error);
  return { ...rest, path: path && [...path] };
}
