import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import type { Commands } from '../commands.ts';
import type { Contexts } from '../contexts.ts';
import type { Refused } from './budgets.ts';
import * as inputs from './inputs.ts';
import { allocationEvent, lockQueue, pass } from './queue.ts';
import * as store from './store.ts';
import { add, dominantShare, toVector, zero } from './vector.ts';

const priorities = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'];

export interface GangDeps {
  readonly commands: Commands;
  readonly contexts: Contexts;
  /** @throws {PERMISSION_DENIED} */
  readonly requireOwner: (scope: RequestScope, owner: string) => Promise<void>;
  /** Tells of a quota that refuses it. */
  readonly orTell: <Result>(tenantId: string, refused: Refused, work: () => Promise<Result>) => Promise<Result>;
}

/** Leases that are of use together only: all of them, or none. A gang never waits, since what it held meanwhile would idle. */
export function createGang({ sql }: ModuleRuntime, { commands, contexts, requireOwner, orTell }: GangDeps) {
  /**
   * Each member on the node that is fullest afterwards, the largest first. Who waits already is served before.
   * @throws {NEVER_FITS} for a member that no node could carry, {QUOTA_EXCEEDED}, {RESOURCE_ALLOCATION_FAILED} where one finds no
   * room, {CONTEXT_NOT_ACTIVE}
   */
  return async function allocateGang(scope: RequestScope, raw: unknown): Promise<readonly string[]> {
    const { idempotencyKey, members, ...input } = parseInput(inputs.gang, raw);
    const { tenantId, subject } = scope.principal;
    const owner = input.owner ?? subject;
    await requireOwner(scope, owner);
    if (input.contextId != null) await contexts.requireActive(scope.principal, input.contextId);
    const wanted = members.map(({ requirements, capabilities, affinity: labels }, at) => ({
      ...{ at, wanted: toVector(requirements), capabilities, labels },
    }));
    const infeasible = await store.findInfeasible(sql, tenantId, wanted);
    if (infeasible !== null)
      throw new PlatformError('NEVER_FITS', 'no node could carry this even if it were empty', {
        path: ['input', 'members', infeasible],
      });
    const call = { operation: 'allocateResourceGang', input: { ...input, members }, idempotencyKey };
    const sum = wanted.reduce((all, one) => add(all, one.wanted), zero);
    return orTell(tenantId, { owner, contextId: input.contextId ?? null, wanted: sum }, () =>
      commands.run(scope, call, async (tx) => {
        await lockQueue(tx, tenantId);
        const events = await pass(tx, tenantId);
        const total = await store.findTotal(tx, tenantId);
        const inOrder = wanted.toSorted(
          (one, two) => dominantShare(two.wanted, total) - dominantShare(one.wanted, total) || one.at - two.at,
        );
        if (!(await store.takeQuota(tx, tenantId, owner, sum)))
          throw new PlatformError('QUOTA_EXCEEDED', `${owner} would hold more than its quota`, {
            path: ['input', 'members'],
            retryAfterMs: 30_000,
          });
        const placed: string[] = [];
        for (const query of inOrder) {
          const nodeId = await store.reserveBest(tx, tenantId, query);
          // What was reserved for the others goes back with the transaction.
          if (nodeId === null)
            throw new PlatformError(
              'RESOURCE_ALLOCATION_FAILED',
              `no node has the room for member ${query.at + 1} now`,
              {
                path: ['input', 'members', query.at],
                retryAfterMs: 30_000,
              },
            );
          placed[query.at] = nodeId;
        }
        const stored = await store.insertAllocations(
          tx,
          wanted.map((query) => ({
            ...{ tenantId, id: newId(), owner, contextId: input.contextId ?? null, type: input.type },
            ...{ purpose: input.purpose ?? null, requested: query.wanted, capabilities: query.capabilities },
            ...{ labels: query.labels, priority: priorities.indexOf(input.priority), preemptible: input.preemptible },
            ...{ status: 'active', reason: null, nodeId: placed[query.at]!, leaseEpoch: 1, leaseMs: input.durationMs },
            ...{ queuedAt: '', allocatedAt: null, expiresAt: null, endedAt: null, createdBy: subject },
            ...{ executionId: null, stepId: null },
          })),
        );
        return {
          response: stored.map(({ id }) => id),
          events: [
            ...events,
            ...stored.map((row) => allocationEvent('allocation.activated', row, { gang: stored.length })),
          ],
          audit: stored.map(({ id }) => ({
            ...{ action: 'allocation.request', resource: 'CoreResourceAllocation', resourceId: id },
          })),
        };
      }),
    );
  };
}
