import type { Authorizer, AuthTarget, Reach } from '#shared/auth.ts';
import type { Bus } from '#shared/bus.ts';
import { PlatformError } from '#shared/errors.ts';
import { hasScope, isWithinBounds, type Principal } from '#shared/principal.ts';
import type { Publisher } from '#shared/publisher.ts';
import { giveAttributes, giveRights, type Rights } from '#shared/rights.ts';
import type { Sql } from '#shared/sql.ts';
import type { Logger } from '#shared/telemetry.ts';
import type { Decision, PermissionRequest } from './decision/index.ts';
import { hasRights, isBound, mayBeDenied } from './decision/places.ts';
import { listRoleNames } from './decision/roleNames.ts';
import { createDecisionAudit, type DecisionAudit } from './decisionAudit.ts';
import { createRoleReplicas, type RoleReplicas, type TenantReplica } from './replicas.ts';
import { createRights, holdsSomething, isDenied, requestOf } from './rights.ts';

export interface RoleAuthorizerDeps {
  /** Database of the role module, whether or not the module is served here. */
  readonly sql: Sql;
  readonly bus: Bus;
  readonly logger: Logger;
  readonly publisher?: Pick<Publisher, 'published'> | undefined;
  /** Denials of a subject in five minutes that are told as suspicious. @default 10 */
  readonly suspiciousDenials?: number;
  /** Milliseconds between two events of a kind about one subject; 0: none. @default 60,000 */
  readonly accessNewsMs?: number;
}

/** Decides for the whole process: token and roles together. */
export interface RoleAuthorizer extends Authorizer {
  readonly onRightsChanged: NonNullable<Authorizer['onRightsChanged']>;
  readonly replicas: RoleReplicas;
  readonly audit: DecisionAudit;
  /** Stores the decisions that wait and lets the replicas go. */
  close(): Promise<void>;
}

export interface AuditedRequest {
  readonly request: PermissionRequest;
  readonly askedBy: string;
  readonly source: 'check' | 'access';
  readonly tenantId: string;
  readonly decision: Decision;
  readonly granted: boolean;
  readonly evaluationMs: number;
}

export function recordDecision(audit: DecisionAudit, audited: AuditedRequest): void | Promise<void> {
  const { request, decision, granted } = audited;
  return audit.record({
    tenantId: audited.tenantId,
    subjectId: request.subjectId,
    askedBy: audited.askedBy,
    source: audited.source,
    action: request.action,
    resourceType: request.resource.type,
    resourceId: request.resource.id ?? null,
    contextId: request.contextId ?? null,
    decision: granted ? 'PERMIT' : decision.decision,
    reason: granted ? 'permission_granted' : decision.reason,
    grantingRoleId: decision.source?.grantingRoleId ?? null,
    permissionId: decision.source?.permissionId ?? null,
    evaluationUs: Math.round(audited.evaluationMs * 1_000),
  });
}

/**
 * The scopes of a token act as assignments of roles of the system: what they grant stays granted unless a role held in
 * the module denies it, and what such a role grants needs no scope. A role without a matching permission changes nothing,
 * so a subject that holds none costs one look into the replica.
 */
export function createRoleAuthorizer(deps: RoleAuthorizerDeps): RoleAuthorizer {
  const replicas = createRoleReplicas(deps);
  const audit = createDecisionAudit(deps);

  /** Rules behind the door go by the replica as it is when they ask; should it be let go meanwhile, by the last one. */
  function rightsOf(principal: Principal, replica: TenantReplica): Rights {
    let last = replica;
    return createRights(principal, () => {
      last = replicas.peek(principal.tenantId) ?? last;
      return last;
    });
  }

  /** The record of the subject; what is recorded in it, conditions may look at, by the replica as it is when they ask. */
  function findRecord(replica: TenantReplica, principal: Principal) {
    const { subject, tenantId } = principal;
    const record = replica.snapshot.subjects.get(subject);
    giveAttributes(principal, () => {
      // Not the replica itself: principals live longer than it is kept.
      let last = record?.subject?.attributes;
      return () => {
        const newest = replicas.peek(tenantId);
        if (newest !== undefined) last = newest.snapshot.subjects.get(subject)?.subject?.attributes;
        return last;
      };
    });
    return record;
  }

  function decide(
    replica: TenantReplica,
    principal: Principal,
    permission: string,
    target: AuthTarget | undefined,
  ): boolean | Promise<boolean> {
    const scoped = hasScope(principal, permission);
    const record = findRecord(replica, principal);
    if (record === undefined || !hasRights(record)) return scoped;
    giveRights(principal, () => rightsOf(principal, replica));
    const request = requestOf(principal, permission, target);
    const startedMs = performance.now();
    const decision = replica.point.checkPermission(request);
    const granted = decision.granted || (scoped && !isDenied(decision));
    // Where no role had a part in it the token decided, as it does for those who hold none.
    if (granted && decision.source === undefined) return true;
    const waits = recordDecision(audit, {
      request,
      decision,
      granted,
      askedBy: principal.subject,
      source: 'access',
      tenantId: principal.tenantId,
      evaluationMs: performance.now() - startedMs,
    });
    return waits === undefined ? granted : waits.then(() => granted);
  }

  /** Also what is bound to a place lets in at once where the permission holds everywhere and no role may deny it. */
  function reach(replica: TenantReplica, principal: Principal, permission: string): Reach {
    const scoped = hasScope(principal, permission);
    const record = findRecord(replica, principal);
    if (record === undefined || !hasRights(record)) return scoped;
    giveRights(principal, () => rightsOf(principal, replica));
    const { snapshot } = replica;
    const request = requestOf(principal, permission, undefined);
    const decision = replica.point.checkPermission(request);
    const granted = decision.granted || (scoped && !isDenied(decision));
    if (!isBound(snapshot, record)) return granted;
    return granted && !mayBeDenied(snapshot, record, request) ? true : 'depends';
  }

  /** The replica when it is there, else once it is loaded. @throws {UNAVAILABLE} */
  function withReplica<Answer>(tenantId: string, use: (replica: TenantReplica) => Answer | Promise<Answer>) {
    const replica = replicas.peek(tenantId);
    if (replica !== undefined) return use(replica);
    return replicas.load(tenantId).then(use, (error: unknown) => {
      // Nobody knows whether a role denies it.
      throw new PlatformError('UNAVAILABLE', 'the roles cannot be read at the moment', { cause: error });
    });
  }

  const authorizer: RoleAuthorizer = {
    replicas,
    audit,
    allows: (principal, permission, target) =>
      isWithinBounds(principal, permission) &&
      withReplica(principal.tenantId, (replica) => decide(replica, principal, permission, target)),
    reach: (principal, permission) =>
      isWithinBounds(principal, permission) &&
      withReplica(principal.tenantId, (replica) => reach(replica, principal, permission)),
    rolesOf: (principal, contextId) =>
      withReplica(principal.tenantId, ({ snapshot }) => {
        const names = listRoleNames(snapshot, { subjectId: principal.subject, contextId, timeMs: Date.now() });
        return [...new Set([...principal.roles, ...names])];
      }),
    capabilitiesOf: (principal) =>
      withReplica(principal.tenantId, ({ snapshot }) => {
        const recorded = snapshot.subjects.get(principal.subject)?.subject?.capabilities ?? [];
        return recorded.length === 0 ? null : [...new Set(recorded.map(({ name }) => name))];
      }),
    onRightsChanged: (listener) => replicas.onChanged(listener),
    rightsKey(principal) {
      const replica = replicas.peek(principal.tenantId);
      if (replica === undefined || !holdsSomething(replica, principal)) return '';
      return `${principal.subject}@${replica.revision}`;
    },
    async close() {
      await audit.close();
      await replicas.close();
    },
  };
  engines.set(authorizer, authorizer);
  return authorizer;
}

/** Role authorizers by the interface under which modules get them. */
const engines = new WeakMap<Authorizer, RoleAuthorizer>();

/** The authorizer's replicas and audit, where it is one of this module. */
export function findRoleAuthorizer(authorizer: Authorizer): RoleAuthorizer | undefined {
  return engines.get(authorizer);
}
