import { ConditionError } from '#shared/conditions/evaluationError.ts';
import { compileExpression, type Predicate } from '#shared/conditions/expression/compile.ts';
import type { Facts } from '#shared/conditions/facts.ts';
import { listedAttributes } from '#shared/contextAudience.ts';
import { subjectFacts } from '#shared/contextReaders.ts';
import { PlatformError } from '#shared/errors.ts';
import { createLru } from '#shared/lru.ts';
import type { Principal } from '#shared/principal.ts';
import type { AccessPermission, AccessPolicy } from './accessList.ts';
import type { ContextRow } from './rows.ts';

export type AccessAction = 'read' | 'write' | 'execute' | 'delete' | 'admin';

/** By text: lists are read with each context, but say the same each time. */
const compiled = createLru<Predicate>(10_000);

function predicateOf(expression: string): Predicate {
  const known = compiled.get(expression) ?? compileExpression(expression);
  compiled.set(expression, known);
  return known;
}

/** What is wrong with a condition; null for one that can be asked. */
export function expressionProblem(expression: string): string | null {
  try {
    predicateOf(expression);
    return null;
  } catch (error) {
    if (error instanceof ConditionError) return error.message;
    throw error;
  }
}

function factsOf(row: ContextRow, principal: Principal, resourceType: string, action: AccessAction): Facts {
  return {
    subjectId: principal.subject,
    subject: subjectFacts(principal),
    roleClearance: undefined,
    heldRoles: principal.roles,
    action,
    resourceType,
    resourceId: row.id,
    resource: listedAttributes(row),
    contextId: row.id,
    planId: undefined,
    environment: {},
    timeMs: Date.now(),
    ip: undefined,
  };
}

/** What cannot be evaluated counts as `otherwise`: it grants nothing, and denies. */
function holds(expression: string, facts: Facts, otherwise: boolean): boolean {
  try {
    return predicateOf(expression)(facts);
  } catch {
    return otherwise;
  }
}

/** Whom an entry names: a subject, or whoever bears the role in its token. */
function isNamed({ principal: name, principalType }: AccessPermission, principal: Principal): boolean {
  if (principalType === 'role') return principal.roles.includes(name);
  return principalType !== 'group' && name === principal.subject;
}

/** Whether the context's own list grants one of the actions on a resource of it, `context` or `participant`. */
export function isGranted(
  row: ContextRow,
  principal: Principal,
  resource: 'context' | 'participant',
  actions: readonly AccessAction[],
): boolean {
  return (row.accessControl.permissions as readonly AccessPermission[]).some((entry) => {
    if (entry.resource !== resource && entry.resource !== '*') return false;
    if (!isNamed(entry, principal)) return false;
    const action = actions.find((wanted) => entry.actions.includes(wanted));
    if (action === undefined) return false;
    const { conditions } = entry;
    if (!conditions || Object.keys(conditions).length === 0) return true;
    // One of another form, from before there was this one, fails and so grants nothing.
    return holds(String(conditions['expression'] ?? ''), factsOf(row, principal, resource, action), false);
  });
}

/**
 * Strict policies deny whatever else allows: one whose condition holds refuses the action to everybody.
 * @throws {PERMISSION_DENIED}
 */
export function requirePolicies(
  row: ContextRow,
  principal: Principal,
  resource: 'context' | 'participant' | 'session' | 'metadata' | 'sharedState',
  action: AccessAction,
): void {
  for (const { type, enforcement, rules } of row.accessControl.policies as readonly AccessPolicy[]) {
    if (enforcement !== 'strict') continue;
    const { deny } = (rules ?? {}) as { readonly deny?: readonly string[] };
    if (!Array.isArray(deny)) continue;
    const facts = factsOf(row, principal, resource, action);
    const at = deny.findIndex((expression) => holds(expression, facts, true));
    if (at >= 0)
      throw new PlatformError('PERMISSION_DENIED', `a ${type} policy of the context denies this: ${deny[at]}`, {
        details: { policy: type.toUpperCase(), rule: at },
      });
  }
}
