import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { holdsIn } from '#shared/rights.ts';
import { parseInput } from '#shared/validation.ts';
import { type Actor, actorOf, type Commands, callOf } from '../commands.ts';
import type { Contexts } from '../contexts.ts';
import type { Engine } from '../engine.ts';
import { approvalRequest } from '../events.ts';
import * as inputs from '../inputs.ts';
import { conditionProblem, maxConditions } from '../manifest/conditions.ts';
import { flatten, granting, isShortForm, refusalOf, replacing } from '../manifest/permissions.ts';
import type { ExtensionRow, RuntimeStateValue } from '../rows.ts';
import { setCapabilityStatus, setSandboxStatus } from '../store.ts';
import type { Checks } from './checks.ts';
import type { Dependencies } from './dependencies.ts';
import type { Loading } from './loading.ts';
import { notFrom, notGranted } from './refusals.ts';
import type { Registration } from './registration.ts';
import { running, type Stopping } from './stopping.ts';

export interface LifecycleDeps {
  readonly commands: Commands;
  readonly contexts: Contexts;
  readonly checks: Checks;
  readonly dependencies: Dependencies;
  readonly engine: Engine;
  readonly loading: Loading;
  readonly registration: Registration;
  readonly stopping: Stopping;
}

export interface StepOptions {
  readonly reason?: string | null | undefined;
  readonly expectedVersion?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

const removable: readonly RuntimeStateValue[] = ['registered', 'installed', 'inactive', 'error'];

/** What ends, holds and opens again; and what an extension may do while it runs. */
export function createLifecycle(deps: LifecycleDeps) {
  const { commands, contexts, checks, dependencies, engine, loading, registration, stopping } = deps;

  async function requireSeen(scope: RequestScope, extensionId: string): Promise<ExtensionRow> {
    const row = await loading.requireExtension(scope.principal.tenantId, extensionId);
    await contexts.require(scope.principal, row.contextId);
    return row;
  }

  /** Stops at once, whatever state it is in. */
  async function putInQuarantine(
    actor: Actor,
    extensionId: string,
    reason: string,
    options: { readonly call?: ReturnType<typeof callOf>; readonly expectedVersion?: number | null | undefined } = {},
  ): Promise<ExtensionRow> {
    const row = await commands.change(
      actor,
      extensionId,
      { ...options, action: 'extension.quarantine', type: 'extension.status.changed', evenLocked: true },
      (before) => {
        if (before.runtimeState === 'quarantined') return null;
        if (before.currentReleaseId === null) throw notFrom(before, 'put in quarantine');
        const at = new Date().toISOString();
        return {
          row: {
            runtimeState: 'quarantined',
            status: 'inactive',
            deactivatedAt: at,
            quarantine: { reason, by: actor.subject, at },
          },
          told: { reason },
          async write(tx, next) {
            await setSandboxStatus(tx, next, 'stopped', {
              type: 'quarantine',
              code: 'QUARANTINED',
              message: reason,
              at,
            });
            await setCapabilityStatus(tx, next, 'error');
          },
        };
      },
    );
    engine.forget(row.tenantId, row.id);
    await stopping.stopDependants(row);
    return row;
  }

  return {
    putInQuarantine,

    /** @throws {INVALID_STATE} {DEPENDANTS_ACTIVE} */
    async deactivate(scope: RequestScope, extensionId: string, options: StepOptions): Promise<ExtensionRow> {
      const reason = parseInput(inputs.reason.nullish(), options.reason, ['reason']) ?? null;
      const call = callOf(scope, options.idempotencyKey, 'deactivateExtension', { extensionId, reason });
      const known = await commands.repeated(call);
      if (known) return known;
      const seen = await requireSeen(scope, extensionId);
      return stopping.stop(actorOf(scope), seen.id, {
        ...{ reason, call, expectedVersion: options.expectedVersion, require: requireNoDependants },
      });
    },

    /** @throws {INVALID_STATE} {DEPENDANTS_ACTIVE} */
    async uninstall(scope: RequestScope, extensionId: string, options: StepOptions): Promise<ExtensionRow> {
      const call = callOf(scope, options.idempotencyKey, 'uninstallExtension', { extensionId });
      const known = await commands.repeated(call);
      if (known) return known;
      const seen = await requireSeen(scope, extensionId);
      // What will be refused is not prepared for.
      if (!removable.includes(seen.runtimeState)) throw notFrom(seen, 'uninstalled');
      await requireNoDependants(seen);
      const release = await engine.runnable(seen.tenantId, seen.currentReleaseId!);
      const before = checks.runHook(seen, release, 'pre_uninstall');
      // What does not run any more cannot keep anybody from taking it away.
      await (seen.runtimeState === 'error' ? before.catch(() => null) : before);
      const row = await commands.change(
        actorOf(scope),
        extensionId,
        {
          call,
          action: 'extension.uninstall',
          type: 'extension.uninstalled',
          expectedVersion: options.expectedVersion,
        },
        async (before, tx) => {
          if (!removable.includes(before.runtimeState)) throw notFrom(before, 'uninstalled');
          await requireNoDependants(before, tx);
          return {
            row: { runtimeState: 'uninstalled', status: 'inactive', grants: [] },
            async write(inner, { tenantId, id }) {
              for (const table of ['state', 'hook', 'capability', 'sandbox', 'release'])
                await inner.unsafe(`DELETE FROM extension.${table} WHERE tenant_id = $1 AND extension_id = $2`, [
                  tenantId,
                  id,
                ]);
            },
          };
        },
      );
      await checks.runHook(row, release, 'post_uninstall').catch(() => null);
      engine.forget(row.tenantId, row.id);
      return row;
    },

    async quarantine(scope: RequestScope, extensionId: string, options: StepOptions): Promise<ExtensionRow> {
      const reason = parseInput(inputs.reason, options.reason, ['reason']);
      const call = callOf(scope, options.idempotencyKey, 'quarantineExtension', { extensionId, reason });
      await requireSeen(scope, extensionId);
      return putInQuarantine(actorOf(scope), extensionId, reason, { call, expectedVersion: options.expectedVersion });
    },

    /** @throws {INVALID_STATE} unless it stands in error */
    async reset(scope: RequestScope, extensionId: string, options: StepOptions): Promise<ExtensionRow> {
      const call = callOf(scope, options.idempotencyKey, 'resetExtension', { extensionId });
      await requireSeen(scope, extensionId);
      return commands.change(
        actorOf(scope),
        extensionId,
        { call, action: 'extension.reset', type: 'extension.status.changed', expectedVersion: options.expectedVersion },
        (row) => {
          if (row.runtimeState !== 'error') throw notFrom(row, 'reset');
          // What never was installed has that before it.
          const runtimeState = row.installedAt === null ? ('registered' as const) : ('inactive' as const);
          return {
            row: { runtimeState, status: runtimeState },
            write: (tx, next) => setSandboxStatus(tx, next, 'stopped'),
          };
        },
      );
    },

    /** @throws {PERMISSION_DENIED} unless it is the caller's own, or the caller administers extensions there */
    async deprecate(scope: RequestScope, extensionId: string, options: StepOptions): Promise<ExtensionRow> {
      const reason = parseInput(inputs.reason.nullish(), options.reason, ['reason']) ?? null;
      const call = callOf(scope, options.idempotencyKey, 'deprecateExtension', { extensionId, reason });
      const seen = await requireSeen(scope, extensionId);
      const { principal } = scope;
      if (seen.createdBy !== principal.subject && !holdsIn(principal, 'extension:admin', seen.contextId))
        throw new PlatformError(
          'PERMISSION_DENIED',
          'only who registered it, or extension:admin, deprecates an extension',
        );
      return commands.change(
        actorOf(scope),
        extensionId,
        { call, action: 'extension.deprecate', type: 'extension.deprecated', expectedVersion: options.expectedVersion },
        (row) => {
          if (row.deprecatedAt !== null) return null;
          return {
            row: {
              deprecatedAt: new Date().toISOString(),
              ...(running.includes(row.runtimeState) ? {} : { status: 'deprecated' as const }),
            },
            told: { reason },
          };
        },
      );
    },

    /** Gives back or takes away one permission, under conditions where some are given. @throws {PERMISSION_NOT_GRANTED} */
    async setPermission(
      scope: RequestScope,
      extensionId: string,
      {
        permission,
        granted,
        ...options
      }: StepOptions & {
        readonly permission: string;
        readonly granted: boolean;
        readonly conditions?: readonly string[] | null | undefined;
      },
    ): Promise<ExtensionRow> {
      if (!isShortForm(permission))
        throw new PlatformError('VALIDATION_FAILED', 'permission: expected module:action', { path: ['permission'] });
      const operation = granted ? 'grantPermission' : 'revokePermission';
      const conditions = requireConditions(options.conditions ?? []);
      const asked = { extensionId, permission, ...(conditions.length > 0 && { conditions }) };
      const call = callOf(scope, options.idempotencyKey, operation, asked);
      const seen = await requireSeen(scope, extensionId);
      const release = await engine.runnable(seen.tenantId, seen.currentReleaseId!);
      return commands.change(
        actorOf(scope),
        extensionId,
        {
          call,
          action: granted ? 'extension.permission.grant' : 'extension.permission.revoke',
          type: 'extension.permission.changed',
          expectedVersion: options.expectedVersion,
        },
        async (row) => {
          const held = flatten(row.grants);
          const isThere = held.includes(permission);
          // Held without the conditions it is narrowed to them; without any given, what is held stays as it is.
          if (isThere === granted && conditions.length === 0) return null;
          if (granted) {
            const refusal = await refusalOf(permission, {
              requested: flatten(release.manifest.security_requirements.permissions),
              trustLevel: row.trustLevel,
              holds: (one) => holdsIn(scope.principal, one, row.contextId),
            });
            if (refusal !== null) throw notGranted(permission, refusal);
          }
          const { permissions: requested } = release.manifest.security_requirements;
          const given = granted ? granting(requested, [permission], () => conditions) : [];
          const grants = replacing(row.grants, permission, given);
          return { row: { grants }, told: { permission, granted, conditions } };
        },
      );
    },

    /** @throws {INVALID_STATE} {VALIDATION_FAILED} */
    async requestApproval(scope: RequestScope, raw: unknown): Promise<ExtensionRow> {
      const { idempotencyKey, ...input } = parseInput(inputs.requestApproval, raw);
      const call = callOf(scope, idempotencyKey, 'requestExtensionApproval', input);
      const seen = await requireSeen(scope, input.extensionId);
      const { principal } = scope;
      const leaves = input.purpose === 'LEAVE_QUARANTINE';
      if (!leaves && input.releaseId == null)
        throw new PlatformError('VALIDATION_FAILED', 'releaseId: expected the release that is to have more', {
          path: ['input', 'releaseId'],
        });
      const release = leaves ? null : await registration.requireRelease(seen.tenantId, seen.id, input.releaseId!);
      return commands.change(
        actorOf(scope),
        seen.id,
        { call, action: 'extension.approval.request', type: 'extension.approval.requested' },
        (row) => {
          if (leaves && row.runtimeState !== 'quarantined') throw notFrom(row, 'let out of quarantine');
          const event = approvalRequest(row, {
            kind: leaves ? 'extension.release' : 'extension.widen',
            title: leaves ? `Let ${row.name} out of quarantine` : `Let ${row.name} ${release!.version} do more`,
            reason: input.reason ?? row.quarantine?.reason ?? null,
            requestedBy: principal.subject,
            requestedByRole: principal.roles[0] ?? 'agent',
            approvers: input.approvers ?? [],
            approverRoles: input.approverRoles ?? [],
            releaseId: release?.id ?? null,
          });
          return { row: {}, told: { purpose: input.purpose, releaseId: release?.id ?? null }, events: [event] };
        },
      );
    },
  };

  async function requireNoDependants(
    row: ExtensionRow,
    tx?: Parameters<Dependencies['findDependants']>[1],
  ): Promise<void> {
    const names = (await dependencies.findDependants(row, tx)).map(({ name }) => name);
    if (names.length > 0)
      throw new PlatformError('DEPENDANTS_ACTIVE', `extensions that run need it: ${names.join(', ')}`, {
        details: { extensions: names },
      });
  }
}

export type Lifecycle = ReturnType<typeof createLifecycle>;

/** @throws {VALIDATION_FAILED} */
function requireConditions(given: readonly string[]): readonly string[] {
  if (given.length > maxConditions)
    throw new PlatformError('VALIDATION_FAILED', `conditions: expected at most ${maxConditions}, got ${given.length}`, {
      path: ['conditions'],
    });
  for (const [at, text] of given.entries()) {
    const problem = conditionProblem(text);
    if (problem !== null)
      throw new PlatformError('VALIDATION_FAILED', `conditions: ${problem}`, { path: ['conditions', at] });
  }
  return [...new Set(given)];
}
