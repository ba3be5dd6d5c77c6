import { PlatformError } from '#shared/errors.ts';
import { mergePatch } from '#shared/mergePatch.ts';
import type { NewJob } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import { jsonProblem, parseInput } from '#shared/validation.ts';
import * as inputs from './inputs.ts';
import { hashJoinToken } from './joinTokens.ts';
import type {
  ContextAccessControlValue,
  ContextConfigurationValue,
  ContextRow,
  ContextStatusValue,
  GovernanceValue,
} from './rows.ts';
import { nowText, requireOwnerOr } from './rules.ts';
import { checksumOf, type SharedEntry } from './sharedState.ts';
import { isOpen, permissionForTransition, requireTransition } from './states.ts';

/** What the platform does by itself it does as `system`, or as `system:` and a module. */
export function ownerTypeOf({ subject, subjectType }: Principal): 'USER' | 'SERVICE' | 'SYSTEM' {
  if (subjectType !== 'service') return 'USER';
  return subject === 'system' || subject.startsWith('system:') ? 'SYSTEM' : 'SERVICE';
}

export function newContext(
  id: string,
  principal: Principal,
  input: inputs.CreateContextInput,
  sharedEntries: readonly SharedEntry[],
  joinToken: string | null,
): ContextRow {
  const at = nowText();
  const configuration = mergeDefined(
    inputs.defaultConfiguration,
    input.configuration,
  ) as unknown as ContextConfigurationValue;
  const accessControl = mergeDefined(
    inputs.defaultAccessControl,
    input.accessControl,
  ) as unknown as ContextAccessControlValue;
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
    ownerType: ownerTypeOf(principal),
    uniqueName: null,
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

function mergeDefined(
  defaults: Readonly<Record<string, unknown>>,
  given: Readonly<Record<string, unknown>> | null | undefined,
): Record<string, unknown> {
  const result: Record<string, unknown> = { ...defaults };
  for (const [key, value] of Object.entries(given ?? {}))
    if (value !== null && value !== undefined) result[key] = value;
  return result;
}

function governanceOf(
  before: GovernanceValue | null,
  input: inputs.CreateContextInput['governance'],
): GovernanceValue | null {
  if (!input) return before;
  return mergeDefined({ ...(before ?? {}) }, input) as GovernanceValue;
}

/** Applies the patch's plain fields and notes what changed. @throws {VALIDATION_FAILED} */
export function patchContext(
  current: ContextRow,
  patch: inputs.ContextPatch,
  principal: Principal,
  changes: Record<string, unknown>,
): ContextRow {
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
  if (patch.expiresAt !== undefined) {
    if (patch.expiresAt !== null && patch.expiresAt.getTime() <= Date.now())
      throw new PlatformError('VALIDATION_FAILED', 'patch.expiresAt: expected a time in the future', {
        path: ['patch', 'expiresAt'],
      });
    set('expiresAt', patch.expiresAt?.toISOString() ?? null);
  }
  if (patch.constraints !== undefined)
    set(
      'constraints',
      patch.constraints === null
        ? null
        : (mergePatch(current.constraints ?? {}, patch.constraints) as Record<string, unknown>),
    );
  if (patch.customData !== undefined) set('customData', mergePatch(current.customData, patch.customData));
  if (patch.governance !== undefined)
    set('governance', patch.governance === null ? null : governanceOf(current.governance, patch.governance));
  if (patch.configuration) {
    const configuration = mergeDefined(
      { ...current.configuration },
      patch.configuration,
    ) as unknown as ContextConfigurationValue;
    if (configuration.maxParticipants < current.participantCount) {
      throw new PlatformError(
        'VALIDATION_FAILED',
        `patch.configuration.maxParticipants: expected at least ${current.participantCount}, the participants there are, got ${configuration.maxParticipants}`,
        { path: ['patch', 'configuration', 'maxParticipants'] },
      );
    }
    if (configuration.maxSessions < current.sessionCount) {
      throw new PlatformError(
        'VALIDATION_FAILED',
        `patch.configuration.maxSessions: expected at least ${current.sessionCount}, the open sessions there are, got ${configuration.maxSessions}`,
        { path: ['patch', 'configuration', 'maxSessions'] },
      );
    }
    set('configuration', configuration);
    // A new life span begins now; an end that was set by hand stays.
    if (
      patch.expiresAt === undefined &&
      current.expiresAt !== null &&
      configuration.timeoutMs !== current.configuration.timeoutMs
    ) {
      set('expiresAt', new Date(Date.now() + configuration.timeoutMs).toISOString());
    }
  }
  // Who may write to a context may not decide who else sees it.
  if (patch.accessControl) requireOwnerOr(current, principal, 'context:admin');
  if (patch.accessControl)
    set(
      'accessControl',
      mergeDefined({ ...current.accessControl }, patch.accessControl) as unknown as ContextAccessControlValue,
    );
  if (patch.root !== undefined) {
    const root = mergePatch(current.root, patch.root) as Record<string, unknown>;
    parseInput(inputs.rootKeys, root, ['patch', 'root']);
    set('root', root);
    next.domain = root['domain'] as string;
    next.environment = root['environment'] as string;
  }
  for (const key of ['root', 'constraints', 'customData'] as const) {
    const problem = key in changes ? jsonProblem(next[key]) : null;
    if (problem)
      throw new PlatformError('VALIDATION_FAILED', `patch.${key}: merged, ${problem}`, { path: ['patch', key] });
  }
  return next;
}

/** @throws {INVALID_STATE_TRANSITION} {PERMISSION_DENIED} */
export function moveContext(
  row: ContextRow,
  to: ContextStatusValue,
  principal: Principal,
  reason: string | null,
  changes: Record<string, unknown>,
): ContextRow {
  requireTransition(row.status, to);
  requireOwnerOr(row, principal, permissionForTransition(to));
  changes['status'] = to.toUpperCase();
  if (to !== 'closed') return { ...row, status: to };
  changes['closeReason'] = reason;
  return { ...row, status: to, closeReason: reason, closedAt: nowText(), lifecycleStage: 'COMPLETED' };
}

/** What is to happen to a context later: its end while it is open, the clearing away once it is closed. */
export function timerJobs(row: ContextRow): readonly NewJob[] {
  const payload = { tenantId: row.tenantId, contextId: row.id };
  if (row.status === 'closed' && row.closedAt !== null && row.configuration.autoCleanup) {
    return [
      {
        task: 'context.cleanUp',
        payload,
        runAt: new Date(Date.parse(row.closedAt) + row.configuration.cleanupDelayMs),
        key: `context.cleanUp:${row.id}`,
      },
    ];
  }
  if (row.expiresAt === null || !isOpen(row.status)) return [];
  return [{ task: 'context.expire', payload, runAt: new Date(row.expiresAt), key: `context.expire:${row.id}` }];
}

/** Where more may take part than before, under other conditions, or again, who waits for a place is looked at. */
export function seatJobs(before: ContextRow, after: ContextRow): readonly NewJob[] {
  const isWider =
    after.configuration.maxParticipants > before.configuration.maxParticipants ||
    after.accessControl !== before.accessControl ||
    (before.governance?.locked === true && after.governance?.locked !== true);
  if (!isWider || !isOpen(after.status)) return [];
  const payload = { tenantId: after.tenantId, contextId: after.id };
  return [{ task: 'context.seat', payload, key: `context.seat:${after.id}` }];
}
