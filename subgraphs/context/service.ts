import { createHash, randomBytes } from 'node:crypto';
import type { CommandResult, CommandRunner, ContextCommand, Outcome, Usage } from './commands.ts';
import { createCommandRunner } from './commands.ts';
import { toDocument } from './document.ts';
import { contextEvent } from './events.ts';
import * as inputs from './inputs.ts';
import type { ContextAccessControlValue, ContextConfigurationValue, ContextRow, ContextStatusValue, GovernanceValue } from './rows.ts';
import { checksumOf, type SharedEntry, toSharedEntries } from './sharedState.ts';
import { isOpen, permissionForTransition, requireTransition } from './states.ts';
import { findContexts } from './store.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import { newId, requireId } from '#shared/ids.ts';
import { mergePatch } from '#shared/mergePatch.ts';
import type { NewJob } from '#shared/outbox.ts';
import { hasScope, type Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';

export interface GovernanceOverride {
  readonly confirmId: string;
  readonly reason?: string | null | undefined;
}

export interface WriteOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly override?: GovernanceOverride | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

export interface CreatedContext {
  readonly context: ContextRow;
  readonly joinToken: string | null;
}

const undoDays = 7;

export type ContextService = ReturnType<typeof createContextService>;

export function createContextService(runtime: ModuleRuntime) {
  const { sql, config } = runtime;
  const commands: CommandRunner = createCommandRunner(runtime);

  /** The row a command left, or what stands now when an earlier call did the work. */
  async function rowOf(scope: RequestScope, result: CommandResult): Promise<ContextRow> {
    const row = result.row ?? (await findContexts(sql, scope.principal.tenantId, [result.contextId]))[0];
    if (!row) throw unknownContext(result.contextId);
    return row;
  }

  function createCommand(scope: RequestScope, raw: unknown, path: readonly (string | number)[]): { command: ContextCommand; joinToken: string | null } {
    const input = parseInput(inputs.createContext, raw, path);
    const { idempotencyKey, ...rest } = input;
    const id = newId();
    const joinToken = input.accessControl?.joinPolicy === 'INVITATION_ONLY' ? randomBytes(24).toString('base64url') : null;
    const sharedEntries = toSharedEntries(input.sharedState ?? null);
    const decide = (_current: ContextRow | null, usage: Usage): Outcome => {
      requireQuota(usage, config.QUOTA_CONTEXTS_PER_USER, config.QUOTA_CONTEXTS_PER_TENANT);
      const row = newContext(id, scope.principal, input, sharedEntries, joinToken);
      return {
        row,
        action: 'context.create',
        events: [contextEvent('context.created', row, {})],
        jobs: expiryJobs(row),
        sharedEntries,
      };
    };
    return { command: { scope, contextId: id, idempotent: callOf(scope.principal, idempotencyKey, 'createContext', rest), countsUsage: true, decide }, joinToken };
  }

  /** A command on an existing context: found, visible, not archived, unlocked or overridden, of the expected version. */
  function changeCommand(
    scope: RequestScope,
    contextId: string,
    options: WriteOptions & { readonly operation: string; readonly input: unknown; readonly countsUsage: boolean },
    change: (current: ContextRow) => { readonly row: ContextRow; readonly changes: Readonly<Record<string, unknown>>; readonly events?: Outcome['events']; readonly jobs?: readonly NewJob[] } | null,
  ): ContextCommand {
    requireId(contextId, ['contextId']);
    const override = options.override ? parseInput(inputs.governanceOverride, options.override, ['override']) : null;
    return {
      scope,
      contextId,
      countsUsage: options.countsUsage,
      idempotent: callOf(scope.principal, options.idempotencyKey, options.operation, { contextId, input: options.input, expectedVersion: options.expectedVersion ?? null }),
      decide(current) {
        if (!current || current.deletedAt !== null) throw unknownContext(contextId);
        requireVersion(options.expectedVersion, current.version);
        if (current.status === 'archived') throw new PlatformError('INVALID_STATE', 'an archived context is read-only');
        const governance = requireUnlocked(current, scope.principal, override);
        const changed = change(current);
        if (changed === null) return null;
        const row: ContextRow = {
          ...changed.row,
          ...(governance === null ? {} : { governance: { ...(changed.row.governance ?? {}), ...governance } }),
          ...(current.protocol === null ? {} : { protocol: withoutStaleDates(current.protocol) }),
          version: current.version + 1,
          updatedAt: nowText(),
          updatedBy: scope.principal.subject,
          lastActivityAt: nowText(),
        };
        const statusChanged = row.status !== current.status;
        return {
          row,
          action: `context.${options.operation}`,
          detail: { changed: Object.keys(changed.changes) },
          snapshot: { document: toDocument(current), changed: Object.keys(changed.changes) },
          events: [
            contextEvent('context.updated', row, changed.changes),
            ...(statusChanged ? [contextEvent('context.state.changed', row, { status: row.status.toUpperCase(), from: current.status.toUpperCase(), reason: row.closeReason })] : []),
            ...(changed.events ?? []),
          ],
          jobs: changed.jobs ?? [],
        };
      },
    };
  }

  return {
    findMany: (tenantId: string, ids: readonly string[]) => findContexts(sql, tenantId, ids),

    commands,
    changeCommand,
    rowOf,

    /** @throws {QUOTA_EXCEEDED} when owner or tenant hold their maximum of open contexts. */
    async create(scope: RequestScope, raw: unknown): Promise<CreatedContext> {
      const { command, joinToken } = createCommand(scope, raw, ['input']);
      const result = await commands.run(command);
      return { context: await rowOf(scope, result), joinToken: result.row ? joinToken : null };
    },

    createCommand,

    /**
     * Applies a patch to the allowed fields.
     * @throws {VERSION_CONFLICT} {INVALID_STATE_TRANSITION} {GOVERNANCE_LOCKED} {NOT_FOUND} {VALIDATION_FAILED}
     */
    async update(scope: RequestScope, contextId: string, raw: unknown, options: WriteOptions): Promise<ContextRow> {
      const patch = parseInput(inputs.contextPatch, raw, ['patch']);
      const command = changeCommand(scope, contextId, { ...options, operation: 'updateContext', input: patch, countsUsage: patch.status !== undefined }, (current) => {
        const changes: Record<string, unknown> = {};
        const row = patchContext(current, patch, changes);
        const to = patch.status === undefined ? null : (patch.status.toLowerCase() as ContextStatusValue);
        const moved = to === null || to === current.status ? row : moveContext(row, to, scope.principal, null, changes);
        return Object.keys(changes).length === 0 ? null : { row: moved, changes, jobs: 'expiresAt' in changes || moved.status !== current.status ? expiryJobs(moved) : [] };
      });
      return rowOf(scope, await commands.run(command));
    },

    /** @throws {INVALID_STATE_TRANSITION} {PERMISSION_DENIED} {NOT_FOUND} {GOVERNANCE_LOCKED} {VERSION_CONFLICT} */
    async changeStatus(scope: RequestScope, contextId: string, status: string, reason: string | null | undefined, options: WriteOptions): Promise<ContextRow> {
      const note = reason == null ? null : parseInput(inputs.reason, reason, ['reason']);
      const to = status.toLowerCase() as ContextStatusValue;
      const command = changeCommand(scope, contextId, { ...options, operation: 'changeContextStatus', input: { status, reason: note }, countsUsage: true }, (current) => {
        const changes: Record<string, unknown> = {};
        const row = moveContext(current, to, scope.principal, note, changes);
        return { row, changes, jobs: expiryJobs(row) };
      });
      return rowOf(scope, await commands.run(command));
    },

    /**
     * Hides a context and leaves the rest to a job. Deleting what is deleted answers the same again.
     * @throws {INVALID_STATE} when work still runs in it and `force` is not set.
     */
    async remove(scope: RequestScope, contextId: string, force: boolean, idempotencyKey: string | null | undefined): Promise<{ contextId: string; restorableUntil: string }> {
      requireId(contextId, ['contextId']);
      const result = await commands.run({
        scope,
        contextId,
        countsUsage: true,
        idempotent: callOf(scope.principal, idempotencyKey, 'deleteContext', { contextId, force }),
        decide(current) {
          if (!current) throw unknownContext(contextId);
          if (current.deletedAt !== null) return null;
          requireOwnerOr(current, scope.principal, 'context:admin');
          requireUnlocked(current, scope.principal, null);
          if (!force && current.sessionCount > 0) {
            throw new PlatformError('INVALID_STATE', `the context has ${current.sessionCount} open sessions; end them or set force`, { path: ['force'] });
          }
          const row: ContextRow = { ...current, deletedAt: nowText(), updatedAt: nowText(), updatedBy: scope.principal.subject, version: current.version + 1 };
          return {
            row,
            action: 'context.delete',
            detail: { force },
            events: [contextEvent('context.deleted', row, { deletedAt: row.deletedAt })],
            jobs: [
              { task: 'context.cascadeDelete', payload: { tenantId: row.tenantId, contextId: row.id, actor: scope.principal.subject }, key: `context.cascadeDelete:${row.id}` },
              { task: 'context.purge', payload: { tenantId: row.tenantId, contextId: row.id }, runAt: new Date(Date.parse(row.deletedAt!) + undoDays * 86_400_000), key: `context.purge:${row.id}` },
            ],
          };
        },
      });
      const deletedAt = result.row?.deletedAt ?? nowText();
      return { contextId, restorableUntil: new Date(Date.parse(deletedAt) + undoDays * 86_400_000).toISOString() };
    },

    /** @throws {NOT_FOUND} when it was never there or its undo time is over. */
    async restore(scope: RequestScope, contextId: string, idempotencyKey: string | null | undefined): Promise<ContextRow> {
      requireId(contextId, ['contextId']);
      const result = await commands.run({
        scope,
        contextId,
        countsUsage: true,
        idempotent: callOf(scope.principal, idempotencyKey, 'restoreContext', { contextId }),
        decide(current, usage) {
          if (!current) throw unknownContext(contextId);
          if (current.deletedAt === null) return null;
          requireOwnerOr(current, scope.principal, 'context:admin');
          if (isOpen(current.status)) requireQuota(usage, config.QUOTA_CONTEXTS_PER_USER, config.QUOTA_CONTEXTS_PER_TENANT);
          const row: ContextRow = { ...current, deletedAt: null, updatedAt: nowText(), updatedBy: scope.principal.subject, version: current.version + 1 };
          return { row, action: 'context.restore', events: [contextEvent('context.restored', row, { deletedAt: null })], jobs: expiryJobs(row) };
        },
      });
      return rowOf(scope, result);
    },
  };
}

export function unknownContext(contextId: string): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such context', { path: ['contextId'], details: { contextId } });
}

export function callOf(principal: Principal, key: string | null | undefined, operation: string, input: unknown): IdempotentCall | null {
  if (key == null) return null;
  return { tenantId: principal.tenantId, subject: principal.subject, key: parseInput(inputs.createContext.shape.idempotencyKey, key, ['idempotencyKey'])!, operation, input };
}

function requireQuota(usage: Usage, perOwner: number, perTenant: number): void {
  if (usage.owner >= perOwner) throw new PlatformError('QUOTA_EXCEEDED', `the owner holds ${usage.owner} open contexts of at most ${perOwner}`, { details: { limit: perOwner, used: usage.owner } });
  if (usage.tenant >= perTenant) throw new PlatformError('QUOTA_EXCEEDED', `the tenant holds ${usage.tenant} open contexts of at most ${perTenant}`, { details: { limit: perTenant, used: usage.tenant } });
}

function requireOwnerOr(row: ContextRow, principal: Principal, permission: string): void {
  if (row.ownerId === principal.subject || hasScope(principal, permission)) return;
  throw new PlatformError('PERMISSION_DENIED', `only the owner or who holds ${permission} may do this`, { details: { permission } });
}

/** Refuses a locked context; an override with the right and a Confirm passes and is remembered in `lastConfirmRef`. */
function requireUnlocked(row: ContextRow, principal: Principal, override: GovernanceOverride | null): GovernanceValue | null {
  if (row.governance?.locked !== true) return null;
  if (!override) throw new PlatformError('GOVERNANCE_LOCKED', 'the context is locked; cite an approved Confirm to override', { path: ['override'] });
  if (!hasScope(principal, 'governance:override')) throw new PlatformError('PERMISSION_DENIED', 'this needs the permission governance:override', { details: { permission: 'governance:override' } });
  return { lastConfirmRef: { id: override.confirmId, module: 'confirm', ...(override.reason ? { description: override.reason } : {}) } };
}

function nowText(): string {
  return new Date().toISOString();
}

/** After a change of ours the imported `updated_at` would lie. */
function withoutStaleDates(protocol: NonNullable<ContextRow['protocol']>): NonNullable<ContextRow['protocol']> {
  return protocol.updatedAt === undefined ? protocol : { ...protocol, updatedAt: nowText() };
}

function newContext(id: string, principal: Principal, input: inputs.CreateContextInput, sharedEntries: readonly SharedEntry[], joinToken: string | null): ContextRow {
  const at = nowText();
  const configuration = mergeDefined(inputs.defaultConfiguration, input.configuration) as unknown as ContextConfigurationValue;
  const accessControl = mergeDefined(inputs.defaultAccessControl, input.accessControl) as unknown as ContextAccessControlValue;
  const { domain, environment, entryPoint, extra } = input.root;
  return {
    tenantId: principal.tenantId,
    id,
    title: input.title,
    status: input.activate === false ? 'draft' : 'active',
    root: { ...(extra ?? {}), domain, environment, ...(entryPoint == null ? {} : { entry_point: entryPoint }) },
    domain,
    environment,
    summary: input.summary ?? null,
    tags: input.tags ?? [],
    language: input.language ?? null,
    ownerRole: input.ownerRole ?? null,
    constraints: input.constraints ?? null,
    governance: governanceOf(null, input.governance),
    protocol: null,
    type: input.type ?? 'COLLABORATIVE',
    lifecycleStage: 'PLANNING',
    ownerId: principal.subject,
    ownerType: principal.subjectType === 'service' ? 'SERVICE' : 'USER',
    configuration,
    accessControl,
    priority: input.priority ?? 'NORMAL',
    category: input.category ?? null,
    customData: input.customData ?? null,
    metadataText: '',
    joinTokenHash: joinToken === null ? null : hashJoinToken(joinToken),
    version: 1,
    participantCount: 0,
    sessionCount: 0,
    sharedVersion: sharedEntries.length > 0 ? 1 : 0,
    sharedChecksum: checksumOf(sharedEntries),
    sharedUpdatedAt: at,
    lastActivityAt: at,
    expiresAt: new Date(Date.parse(at) + configuration.timeoutMs).toISOString(),
    closeReason: null,
    closedAt: null,
    deletedAt: null,
    createdAt: at,
    createdBy: principal.subject,
    updatedAt: at,
    updatedBy: principal.subject,
  };
}

export function hashJoinToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

function mergeDefined(defaults: Readonly<Record<string, unknown>>, given: Readonly<Record<string, unknown>> | null | undefined): Record<string, unknown> {
  const result: Record<string, unknown> = { ...defaults };
  for (const [key, value] of Object.entries(given ?? {})) if (value !== null && value !== undefined) result[key] = value;
  return result;
}

function governanceOf(before: GovernanceValue | null, input: inputs.CreateContextInput['governance']): GovernanceValue | null {
  if (!input) return before;
  return mergeDefined({ ...(before ?? {}) }, input) as GovernanceValue;
}

/** Applies the patch's plain fields and notes what changed. @throws {VALIDATION_FAILED} */
function patchContext(current: ContextRow, patch: inputs.ContextPatch, changes: Record<string, unknown>): ContextRow {
  const next: { -readonly [Key in keyof ContextRow]: ContextRow[Key] } = { ...current };
  const set = <Key extends keyof ContextRow>(key: Key, value: ContextRow[Key]) => {
    if (JSON.stringify(current[key]) === JSON.stringify(value)) return;
    next[key] = value;
    changes[key] = value;
  };
  if (patch.title !== undefined) set('title', patch.title);
  if (patch.summary !== undefined) set('summary', patch.summary);
  if (patch.type !== undefined) set('type', patch.type);
  if (patch.lifecycleStage !== undefined) set('lifecycleStage', patch.lifecycleStage);
  if (patch.tags !== undefined) set('tags', patch.tags ?? []);
  if (patch.language !== undefined) set('language', patch.language);
  if (patch.ownerRole !== undefined) set('ownerRole', patch.ownerRole);
  if (patch.category !== undefined) set('category', patch.category);
  if (patch.priority !== undefined) set('priority', patch.priority);
  if (patch.expiresAt !== undefined) set('expiresAt', patch.expiresAt?.toISOString() ?? null);
  if (patch.constraints !== undefined) set('constraints', patch.constraints === null ? null : (mergePatch(current.constraints ?? {}, patch.constraints) as Record<string, unknown>));
  if (patch.customData !== undefined) set('customData', mergePatch(current.customData, patch.customData));
  if (patch.governance !== undefined) set('governance', patch.governance === null ? null : governanceOf(current.governance, patch.governance));
  if (patch.configuration) {
    const configuration = mergeDefined({ ...current.configuration }, patch.configuration) as unknown as ContextConfigurationValue;
    if (configuration.maxParticipants < current.participantCount) {
      throw new PlatformError('VALIDATION_FAILED', `patch.configuration.maxParticipants: expected at least ${current.participantCount}, the participants there are, got ${configuration.maxParticipants}`, { path: ['patch', 'configuration', 'maxParticipants'] });
    }
    set('configuration', configuration);
  }
  if (patch.accessControl) set('accessControl', mergeDefined({ ...current.accessControl }, patch.accessControl) as unknown as ContextAccessControlValue);
  if (patch.root !== undefined) {
    const root = mergePatch(current.root, patch.root) as Record<string, unknown>;
    for (const key of ['domain', 'environment']) {
      if (typeof root[key] !== 'string' || root[key] === '') throw new PlatformError('VALIDATION_FAILED', `patch.root.${key}: expected a non-empty text`, { path: ['patch', 'root', key] });
    }
    if (root['entry_point'] !== undefined && typeof root['entry_point'] !== 'string') throw new PlatformError('VALIDATION_FAILED', 'patch.root.entry_point: expected text', { path: ['patch', 'root', 'entry_point'] });
    set('root', root);
    next.domain = root['domain'] as string;
    next.environment = root['environment'] as string;
  }
  return next;
}

/** @throws {INVALID_STATE_TRANSITION} {PERMISSION_DENIED} */
function moveContext(row: ContextRow, to: ContextStatusValue, principal: Principal, reason: string | null, changes: Record<string, unknown>): ContextRow {
  requireTransition(row.status, to);
  requireOwnerOr(row, principal, permissionForTransition(to));
  changes['status'] = to.toUpperCase();
  if (to !== 'closed') return { ...row, status: to };
  changes['closeReason'] = reason;
  return { ...row, status: to, closeReason: reason, closedAt: nowText(), lifecycleStage: 'COMPLETED' };
}

/** The timer that closes a context at `expiresAt`; a new one replaces the old, a closed context has none to fear. */
function expiryJobs(row: ContextRow): readonly NewJob[] {
  if (row.expiresAt === null || !isOpen(row.status)) return [];
  return [{ task: 'context.expire', payload: { tenantId: row.tenantId, contextId: row.id }, runAt: new Date(row.expiresAt), key: `context.expire:${row.id}` }];
}
