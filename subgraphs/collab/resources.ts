import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { parseInput } from '#shared/validation.ts';
import type { Calls } from './calls.ts';
import type { Answer } from './commands.ts';
import { addConflict, detect } from './conflictFinding.ts';
import type { ResourceAllocation } from './conflictRows.ts';
import { find, list, put, tell } from './draft.ts';
import * as inputs from './inputs.ts';
import { grantWaiting, roomFor } from './resourceRoom.ts';
import { coordinates, requireActive, requireCoordinator, requirePart, requireStatus } from './rights.ts';

/** Allocations of one resource that are kept at most. */
const maxAllocations = 1_000;
const needs = { participant: 'all', task: 'open', resource: 'all', conflict: 'open' } as const;

/** What those who take part share, and who has how much of it when. */
export function createResources({ calls }: { readonly calls: Calls }) {
  return {
    /** Names a resource, or gives one of that name another capacity. @throws {PERMISSION_DENIED} {COLLAB_NOT_ACTIVE} {INVALID_STATE} where more is given out */
    async put(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.resource, raw);
      return calls.run(
        scope,
        input.collabId,
        { operation: 'putCollabResource', input, idempotencyKey, expectedVersion, needs },
        (draft) => {
          requireCoordinator(draft, scope.principal, 'manage_resources');
          requireStatus(draft, 'draft', 'active', 'suspended');
          const known = list(draft, 'resource').find(({ name }) => name === input.name);
          const base = known ?? {
            tenantId: draft.collab.tenantId,
            id: newId(),
            collabId: input.collabId,
            name: input.name,
            unit: null,
            capacity: input.capacity,
            allocations: [],
            version: 0,
            createdAt: draft.at,
          };
          const next = { ...base, capacity: input.capacity, unit: input.unit ?? base.unit, version: base.version + 1 };
          for (const held of next.allocations)
            if (held.status === 'granted' && roomFor(next, held) < held.granted * (1 - 1e-9))
              throw new PlatformError('INVALID_STATE', `more than ${input.capacity} is given out already`, {
                path: ['input', 'capacity'],
              });
          const stored = put(draft, 'resource', grantWaiting(next));
          tell(draft, 'collab.resource.changed', { resource: stored });
          return { collabId: input.collabId, resourceId: stored.id };
        },
      );
    },

    /** Asks for a part during a time: it is given at once where there is room; else it waits, and the conflict is told. */
    async claim(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.claimResource, raw);
      const collabId = await calls.ownerOf(scope, 'resource', input.resourceId);
      return calls.run(
        scope,
        collabId,
        { operation: 'claimCollabResource', input, idempotencyKey, expectedVersion, needs },
        (draft) => {
          requireStatus(draft, 'active');
          const part =
            input.participantId == null
              ? requirePart(draft, scope.principal)
              : requireActive(draft, input.participantId, ['input', 'participantId']);
          if (part.agentId !== scope.principal.subject) requireCoordinator(draft, scope.principal, 'manage_resources');
          const resource = find(draft, 'resource', input.resourceId);
          if (resource === undefined)
            throw new PlatformError('NOT_FOUND', 'no such resource', { path: ['input', 'resourceId'] });
          const kept = resource.allocations.filter(
            ({ status, end }) => status !== 'released' || Date.parse(end) > draft.atMs,
          );
          if (kept.length >= maxAllocations)
            throw new PlatformError('LIMIT_EXCEEDED', `expected at most ${maxAllocations} allocations`, {
              details: { limit: maxAllocations },
            });
          const asked: ResourceAllocation = {
            id: newId(),
            participantId: part.participantId,
            amount: input.amount,
            start: input.start.toISOString(),
            end: input.end.toISOString(),
            priority: input.priority ?? part.priority,
            granted: 0,
            status: 'waiting',
          };
          const fits = roomFor(resource, asked) >= input.amount * (1 - 1e-9);
          const allocation = fits ? { ...asked, granted: input.amount, status: 'granted' as const } : asked;
          const next = put(draft, 'resource', {
            ...resource,
            allocations: [...kept, allocation],
            version: resource.version + 1,
          });
          tell(draft, 'collab.resource.claimed', { resource: next, allocationId: allocation.id });
          const conflicts = fits
            ? []
            : detect(draft)
                .filter(({ subject }) => subject.startsWith(`resource:${resource.id}:`))
                .map((one) => addConflict(draft, one, 'system'));
          return {
            collabId,
            resourceId: resource.id,
            allocationId: allocation.id,
            conflictIds: conflicts.map(({ id }) => id),
          };
        },
      );
    },

    /** Who has it, or the coordinator; what waits takes its place. @throws {NOT_FOUND} {PERMISSION_DENIED} */
    async release(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.releaseResource, raw);
      const collabId = await calls.ownerOf(scope, 'resource', input.resourceId);
      return calls.run(
        scope,
        collabId,
        { operation: 'releaseCollabResource', input, idempotencyKey, expectedVersion, needs },
        (draft) => {
          const resource = find(draft, 'resource', input.resourceId);
          const held = resource?.allocations.find(({ id }) => id === input.allocationId);
          if (resource === undefined || held === undefined)
            throw new PlatformError('NOT_FOUND', 'no such allocation', { path: ['input', 'allocationId'] });
          const holder = find(draft, 'participant', held.participantId);
          if (holder?.agentId !== scope.principal.subject && !coordinates(draft, scope.principal))
            throw new PlatformError('PERMISSION_DENIED', 'only who has it, or the coordinator, gives it back');
          const next = put(
            draft,
            'resource',
            grantWaiting({
              ...resource,
              version: resource.version + 1,
              allocations: resource.allocations.map((one) =>
                one.id === held.id ? { ...one, status: 'released', granted: 0 } : one,
              ),
            }),
          );
          tell(draft, 'collab.resource.released', { resource: next, allocationId: held.id });
          return { collabId, resourceId: resource.id, allocationId: held.id, conflictIds: [] };
        },
      );
    },
  };
}
