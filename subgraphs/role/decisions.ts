import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { hasScope } from '#shared/principal.ts';
import { parseInput } from '#shared/validation.ts';
import { type RoleAuthorizer, recordDecision } from './authorizer.ts';
import { ConditionError, compileExpression, EvaluationError, type Facts } from './conditions/index.ts';
import {
  type Decision,
  type EffectivePermission,
  listEffectivePermissions,
  type PermissionRequest,
} from './decision/index.ts';
import { timedOut } from './decision/timeout.ts';
import * as inputs from './inputs.ts';
import type { RoleLimits } from './limits.ts';
import type { TenantReplica } from './replicas.ts';
import { isDenied } from './rights.ts';

export interface GivenDecision {
  readonly decision: Decision;
  readonly granted: boolean;
  readonly grantedByToken: boolean;
  readonly evaluationTimeMs: number;
  readonly revision: number;
  /** Whether it is asked how the decision came about. */
  readonly isExplained: boolean;
}

/** How a question is to be looked at. */
interface Looking {
  readonly startedMs: number;
  readonly timeoutMs: number;
  readonly isExplained: boolean;
}

const maxBatch = 500;

/** What was asked for, as the decision reads it. */
export function toRequest(input: inputs.CheckPermissionInput, caller: string): PermissionRequest {
  const { subjectId = caller, contextId, planId, action, resource, environment } = input;
  const { time, ...rest } = environment ?? {};
  const timeMs = typeof time === 'number' ? time : typeof time === 'string' ? Date.parse(time) : undefined;
  if (timeMs !== undefined && !Number.isFinite(timeMs))
    throw new PlatformError('VALIDATION_FAILED', 'input.environment.time: expected epoch milliseconds or ISO 8601', {
      path: ['input', 'environment', 'time'],
    });
  if (rest['ip'] !== undefined && typeof rest['ip'] !== 'string')
    throw new PlatformError('VALIDATION_FAILED', 'input.environment.ip: expected an address', {
      path: ['input', 'environment', 'ip'],
    });
  return {
    subjectId,
    action,
    resource: {
      type: resource.type,
      ...(resource.id === undefined ? {} : { id: resource.id }),
      ...(resource.attributes === undefined ? {} : { attributes: resource.attributes }),
    },
    ...(contextId === undefined ? {} : { contextId }),
    ...(planId === undefined ? {} : { planId }),
    ...(environment === undefined
      ? {}
      : { environment: { ...rest, ...(timeMs === undefined ? {} : { timeMs }) } as PermissionRequest['environment'] }),
  } as PermissionRequest;
}

export type Decisions = ReturnType<typeof createDecisions>;

/** Answers questions about rights from the replica. */
export function createDecisions(
  { replicas, audit }: Pick<RoleAuthorizer, 'replicas' | 'audit'>,
  { evaluationTimeoutMs }: Pick<RoleLimits, 'evaluationTimeoutMs'>,
) {
  function decide(
    /** Null: it could not be read in time. */
    replica: TenantReplica | null,
    scope: Pick<RequestScope, 'principal'>,
    { request, looking }: { readonly request: PermissionRequest; readonly looking: Looking },
  ): { readonly given: GivenDecision; readonly waits: void | Promise<void> } {
    const { principal } = scope;
    const startedMs = performance.now();
    const decision =
      replica === null ? timedOut(0) : replica.point.checkPermission(request, looking.startedMs + looking.timeoutMs);
    const evaluationTimeMs = performance.now() - (replica === null ? looking.startedMs : startedMs);
    // Past its time nobody knows whether a role denies it.
    const grantedByToken =
      !decision.granted &&
      decision.reason !== 'evaluation_timeout' &&
      request.subjectId === principal.subject &&
      !isDenied(decision) &&
      hasScope(principal, `${request.resource.type}:${request.action}`);
    const granted = decision.granted || grantedByToken;
    const waits = recordDecision(audit, {
      request,
      decision,
      granted,
      askedBy: principal.subject,
      source: 'check',
      tenantId: principal.tenantId,
      evaluationMs: evaluationTimeMs,
    });
    const { isExplained } = looking;
    const revision = replica?.revision ?? 0;
    return { given: { decision, granted, grantedByToken, evaluationTimeMs, revision, isExplained }, waits };
  }

  /** @throws {VALIDATION_FAILED} for more time than is allowed. */
  function lookingOf(
    input: inputs.CheckPermissionInput,
    startedMs: number,
    path: readonly (string | number)[],
  ): Looking {
    const timeoutMs = input.options?.timeoutMs ?? evaluationTimeoutMs;
    if (timeoutMs > evaluationTimeoutMs) {
      const place = [...path, 'options', 'timeoutMs'];
      throw new PlatformError(
        'VALIDATION_FAILED',
        `${place.join('.')}: expected at most ${evaluationTimeoutMs}, got ${timeoutMs}`,
        { path: place },
      );
    }
    return { startedMs, timeoutMs, isExplained: input.options?.explain ?? true };
  }

  /** The replica once it is loaded; null where that takes longer. */
  async function loadWithin(tenantId: string, timeoutMs: number): Promise<TenantReplica | null> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, null);
    });
    try {
      return await Promise.race([replicas.load(tenantId), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  const replicaOf = (tenantId: string) => replicas.peek(tenantId) ?? replicas.load(tenantId);

  return {
    async check(scope: Pick<RequestScope, 'principal'>, raw: unknown): Promise<GivenDecision> {
      const input = parseInput(inputs.checkPermission, raw) as inputs.CheckPermissionInput;
      const request = toRequest(input, scope.principal.subject);
      const looking = lookingOf(input, performance.now(), ['input']);
      const { tenantId } = scope.principal;
      // Nothing to wait for, as a rule: then neither is there a turn of the event loop between.
      const replica = replicas.peek(tenantId) ?? (await loadWithin(tenantId, looking.timeoutMs));
      const { given, waits } = decide(replica, scope, { request, looking });
      if (waits !== undefined) await waits;
      return given;
    },

    async checkMany(scope: Pick<RequestScope, 'principal'>, raws: readonly unknown[]): Promise<GivenDecision[]> {
      if (raws.length === 0 || raws.length > maxBatch)
        throw new PlatformError('VALIDATION_FAILED', `inputs: expected 1 to ${maxBatch}, got ${raws.length}`, {
          path: ['inputs'],
        });
      const startedMs = performance.now();
      const questions = raws.map((raw, at) => {
        const path = ['inputs', at];
        const input = parseInput(inputs.checkPermission, raw, path) as inputs.CheckPermissionInput;
        return { request: toRequest(input, scope.principal.subject), looking: lookingOf(input, startedMs, path) };
      });
      const { tenantId } = scope.principal;
      const longestMs = Math.max(...questions.map(({ looking }) => looking.timeoutMs));
      const replica = replicas.peek(tenantId) ?? (await loadWithin(tenantId, longestMs));
      const decided = questions.map((question) => decide(replica, scope, question));
      await Promise.all(decided.map(({ waits }) => waits));
      return decided.map(({ given }) => given);
    },

    async effective(
      tenantId: string,
      subject: string,
      contextId: string | null | undefined,
    ): Promise<readonly EffectivePermission[]> {
      const subjectId = parseInput(inputs.subjectId, subject, ['subjectId']);
      const replica = await replicaOf(tenantId);
      const place = contextId == null ? {} : { contextId };
      return listEffectivePermissions(replica.sets(), { subjectId, timeMs: Date.now(), ...place });
    },

    evaluate(caller: string, expression: string, given: ExpressionFacts | null | undefined): ExpressionOutcome {
      try {
        const result = compileExpression(expression)(toFacts(caller, given ?? {}));
        return { valid: true, result };
      } catch (error) {
        if (error instanceof EvaluationError) return { valid: true, error: error.message };
        if (!(error instanceof ConditionError)) throw error;
        const { position } = error;
        return { valid: false, error: error.message, ...(position === undefined ? {} : { position }) };
      }
    },
  };
}

export interface ExpressionOutcome {
  readonly valid: boolean;
  readonly result?: boolean;
  readonly error?: string;
  readonly position?: number;
}

export interface ExpressionFacts {
  readonly subjectId?: string | null | undefined;
  readonly subject?: unknown;
  readonly action?: string | null | undefined;
  readonly resourceType?: string | null | undefined;
  readonly resourceId?: string | null | undefined;
  readonly resource?: unknown;
  readonly environment?: unknown;
  readonly contextId?: string | null | undefined;
}

function toFacts(caller: string, given: ExpressionFacts): Facts {
  const attributes = (value: unknown, name: string): Readonly<Record<string, unknown>> => {
    if (value == null) return {};
    if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
    throw new PlatformError('VALIDATION_FAILED', `facts.${name}: expected a JSON object`, { path: ['facts', name] });
  };
  const environment = attributes(given.environment, 'environment');
  const { ip } = environment;
  return {
    subjectId: given.subjectId ?? caller,
    subject: attributes(given.subject, 'subject'),
    roleClearance: undefined,
    heldRoles: [],
    action: given.action ?? '',
    resourceType: given.resourceType ?? '',
    resourceId: given.resourceId ?? undefined,
    resource: attributes(given.resource, 'resource'),
    contextId: given.contextId ?? undefined,
    planId: undefined,
    environment,
    timeMs: Date.now(),
    ip: typeof ip === 'string' ? ip : undefined,
  };
}

/** What would help where nothing was granted. */
export function recommend({ decision, granted, isExplained }: GivenDecision): string[] {
  if (granted || !isExplained) return [];
  if (decision.reason === 'evaluation_timeout') return ['ask again, or give it more time'];
  if (decision.decision === 'NEEDS_APPROVAL')
    return decision.obligations.map(
      ({ approvals, approverRoles }) =>
        `ask for ${approvals} approval${approvals === 1 ? '' : 's'}${approverRoles.length === 0 ? '' : ` by ${approverRoles.join(', ')}`}`,
    );
  if (isDenied(decision))
    return [`the role ${decision.source!.grantingRoleId} denies it: only its change or revocation helps`];
  if (decision.nearest !== undefined)
    return [
      `the role ${decision.nearest.grantingRoleId} would grant it if these held: ${decision.nearest.failing.join(', ')}`,
    ];
  return ['ask an administrator of roles for a role with this permission'];
}
