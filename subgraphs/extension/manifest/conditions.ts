import { EvaluationError } from '#shared/conditions/evaluationError.ts';
import { compileExpression, type Predicate } from '#shared/conditions/expression/compile.ts';
import type { Facts } from '#shared/conditions/facts.ts';
import { createLru } from '#shared/lru.ts';
import type { Principal } from '#shared/principal.ts';
import type { Permission } from './permissions.ts';

/** Of one permission at most. */
export const maxConditions = 10;

/** Texts never change their meaning: each is compiled once. */
const compiled = createLru<Predicate>(2_000);

/** Why the text is no condition; null where it is one. */
export function conditionProblem(text: string): string | null {
  try {
    compileExpression(text);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What is asked of the host, by whom, and of which extension. */
export interface HostQuestion {
  readonly extension: {
    readonly id: string;
    readonly name: string;
    readonly version: string;
    readonly contextId: string;
  };
  /** Whoever called the extension. */
  readonly principal: Principal;
  /** `resource:action` that is needed. */
  readonly permission: string;
  /** Operation of the host, or the point at which it is heard. */
  readonly operation: string;
  readonly nowMs: number;
}

/** Whether a grant has the permission and all conditions of it hold now. What cannot be decided does not hold. */
export function isAllowed(grants: readonly Permission[], question: HostQuestion): boolean {
  const [resource, action] = question.permission.split(':') as [string, string];
  return grants.some(
    (grant) =>
      grant.resource === resource &&
      grant.actions.includes(action) &&
      (grant.conditions ?? []).every((text) => holds(text, question)),
  );
}

function holds(text: string, question: HostQuestion): boolean {
  try {
    const predicate = compiled.get(text) ?? compileExpression(text);
    compiled.set(text, predicate);
    return predicate(factsOf(question));
  } catch (error) {
    if (error instanceof EvaluationError) return false;
    throw error;
  }
}

function factsOf({ extension, principal, permission, operation, nowMs }: HostQuestion): Facts {
  const now = new Date(nowMs);
  return {
    subjectId: principal.subject,
    subject: { type: principal.subjectType },
    roleClearance: undefined,
    heldRoles: principal.roles,
    action: permission,
    resourceType: 'Extension',
    resourceId: extension.id,
    resource: { name: extension.name, version: extension.version },
    contextId: extension.contextId,
    planId: undefined,
    // Of the clock of UTC; Sunday is 0.
    environment: { operation, hour: now.getUTCHours(), weekday: now.getUTCDay() },
    timeMs: nowMs,
    ip: undefined,
  };
}
