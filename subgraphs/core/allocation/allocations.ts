import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId, requireId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible } from '../access.ts';
import type { CallOptions, Commands } from '../commands.ts';
import type { Contexts } from '../contexts.ts';
import { noteExceeded, type Refused } from './budgets.ts';
import { createGang } from './gang.ts';
import * as inputs from './inputs.ts';
import { allocationEvent, allocationStream, end, lockQueue, maxQueue, pass } from './queue.ts';
import type { AllocationRow, NewAllocation, NodeRow } from './rows.ts';
import * as store from './store.ts';
import { findSuggestions, type Suggestion } from './suggestions.ts';
import { reportUse } from './usage.ts';
import { toVector, unlimited } from './vector.ts';

const priorities = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'];
const sweepLimit = 500;

/** Refusals that something else than the same could pass. */
const suggestible: ReadonlySet<string> = new Set(['NEVER_FITS', 'QUOTA_EXCEEDED', 'RESOURCE_ALLOCATION_FAILED']);

const unknown = () => new PlatformError('NOT_FOUND', 'no such allocation', { path: ['allocationId'] });

export type Allocations = ReturnType<typeof createAllocations>;

const quotaExceeded = (owner: string) =>
  new PlatformError('QUOTA_EXCEEDED', `${owner} would hold more than its quota`, {
    path: ['input', 'requirements'],
    retryAfterMs: 30_000,
  });

/**
 * Quota and node, without the queue. Where no node has the room the lock of the quota goes back too: whoever needs the queue takes it
 * before any row. @throws {QUOTA_EXCEEDED}
 */
async function reserveAtOnce(
  tx: SqlTransaction,
  { tenantId, owner, query }: { readonly tenantId: string; readonly owner: string; readonly query: store.PlaceQuery },
): Promise<string | null> {
  const noRoom = new Error('no node has the room');
  try {
    return await tx.savepoint(async (inner) => {
      if (!(await store.takeQuota(inner, tenantId, owner, query.wanted))) throw quotaExceeded(owner);
      const nodeId = await store.reserveBest(inner, tenantId, query);
      if (nodeId === null) throw noRoom;
      return nodeId;
    });
  } catch (error) {
    if (error === noRoom) return null;
    throw error;
  }
}

/** Leases of resources: quotas, placement, fair queueing, preemption, fencing. */
export function createAllocations(
  runtime: ModuleRuntime,
  { commands, contexts }: { readonly commands: Commands; readonly contexts: Contexts },
) {
  const { sql, authorizer, logger } = runtime;

  async function requireOwner(scope: RequestScope, owner: string): Promise<void> {
    if (owner === scope.principal.subject) return;
    if (await authorizer.allows(scope.principal, 'allocation:manage')) return;
    throw new PlatformError('PERMISSION_DENIED', 'this needs the permission allocation:manage', {
      details: { permission: 'allocation:manage' },
    });
  }

  /** Asked before the transaction: rights may need connections of their own. An allocation never changes its owner. */
  async function requireOwn(scope: RequestScope, allocationId: string): Promise<string> {
    const id = requireId(allocationId, ['allocationId']);
    const [row] = await store.findAllocations(sql, scope.principal.tenantId, [id]);
    if (!row) throw unknown();
    await requireVisible(sql, scope.principal, { table: 'allocation', id, learn: contexts.learn });
    await requireOwner(scope, row.owner);
    return id;
  }

  async function lock(tx: SqlTransaction, { principal }: RequestScope, id: string) {
    const row = await store.lockAllocation(tx, principal.tenantId, id);
    if (!row) throw unknown();
    return row;
  }

  /** What a quota refuses leaves nothing behind but the word of it. */
  async function orTell<Result>(tenantId: string, refused: Refused, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof PlatformError && error.code === 'QUOTA_EXCEEDED')
        await commands
          .runAs(tenantId, 'system', async (tx) => ({
            response: null,
            events: await noteExceeded(tx, tenantId, refused),
          }))
          .catch((problem: unknown) =>
            logger.warn(
              { tenantId, owner: refused.owner, error: String(problem) },
              'a quota that is passed was not told',
            ),
          );
      throw error;
    }
  }

  return {
    allocateGang: createGang(runtime, { commands, contexts, requireOwner, orTell }),

    /**
     * Leases resources on one node, all or nothing.
     * @throws {QUOTA_EXCEEDED} {NEVER_FITS} {RESOURCE_ALLOCATION_FAILED} where it may not wait, {CONTEXT_NOT_ACTIVE}
     */
    async allocate(scope: RequestScope, raw: unknown): Promise<string> {
      const { idempotencyKey, ...input } = parseInput(inputs.allocate, raw);
      const { tenantId, subject } = scope.principal;
      const owner = input.owner ?? subject;
      await requireOwner(scope, owner);
      if (input.contextId != null) await contexts.requireActive(scope.principal, input.contextId);
      const requested = toVector(input.requirements);
      const query = { wanted: requested, capabilities: input.capabilities, labels: input.affinity };
      if (!(await store.isFeasible(sql, tenantId, query)))
        throw new PlatformError('NEVER_FITS', 'no node could carry this even if it were empty', {
          path: ['input', 'requirements'],
        });
      const call = { operation: 'allocateResources', input, idempotencyKey };
      const refused = { owner, contextId: input.contextId ?? null, wanted: requested };
      return orTell(tenantId, refused, () =>
        commands.run(scope, call, async (tx) => {
          const row: NewAllocation = {
            ...{
              tenantId,
              id: newId(),
              owner,
              contextId: input.contextId ?? null,
              type: input.type,
              purpose: input.purpose ?? null,
            },
            ...{
              requested,
              capabilities: input.capabilities,
              labels: input.affinity,
              priority: priorities.indexOf(input.priority),
            },
            ...{ preemptible: input.preemptible, status: 'queued', reason: null, nodeId: null, leaseEpoch: 0 },
            ...{
              leaseMs: input.durationMs,
              queuedAt: '',
              allocatedAt: null,
              expiresAt: null,
              endedAt: null,
              createdBy: subject,
              executionId: null,
              stepId: null,
            },
          };
          const audit = [{ action: 'allocation.request', resource: 'CoreResourceAllocation', resourceId: row.id }];
          const waiting = await store.countQueued(tx, tenantId);
          // Who comes while others wait waits with them: the pass decides whose turn it is.
          const nodeId = waiting === 0 ? await reserveAtOnce(tx, { tenantId, owner, query }) : null;
          if (nodeId !== null) {
            const stored = await store.insertAllocation(tx, { ...row, status: 'active', nodeId, leaseEpoch: 1 });
            return { response: row.id, events: [allocationEvent('allocation.activated', stored)], audit };
          }
          await lockQueue(tx, tenantId);
          if (!(await store.takeQuota(tx, tenantId, owner, requested))) throw quotaExceeded(owner);
          await store.giveQuota(tx, tenantId, owner, requested);
          if (waiting >= maxQueue)
            throw new PlatformError('RESOURCE_ALLOCATION_FAILED', 'too many requests wait already', {
              retryAfterMs: 30_000,
            });
          const queued = await store.insertAllocation(tx, row);
          const events = [allocationEvent('allocation.queued', queued), ...(await pass(tx, tenantId))];
          if (
            !input.queueIfFull &&
            !events.some(
              ({ type, data }) =>
                type === 'allocation.activated' && (data['allocation'] as AllocationRow).id === row.id,
            )
          )
            throw new PlatformError('RESOURCE_ALLOCATION_FAILED', 'no node has the room now', {
              retryAfterMs: 30_000,
              path: ['input', 'requirements'],
            });
          return { response: row.id, events, audit };
        }),
      );
    },

    /** What would be granted in place of a request that was refused; nothing where the refusal is of another kind. */
    async suggest(scope: RequestScope, raw: unknown, refusal: PlatformError): Promise<readonly Suggestion[]> {
      if (!suggestible.has(refusal.code)) return [];
      const input = parseInput(inputs.allocate, raw);
      return findSuggestions(sql, scope.principal.tenantId, {
        ...{ owner: input.owner ?? scope.principal.subject, wanted: toVector(input.requirements) },
        ...{ capabilities: input.capabilities, labels: input.affinity },
        ...{ priority: priorities.indexOf(input.priority), leaseMs: input.durationMs },
      });
    },

    /**
     * What the holder of a lease uses, under its fencing token. Where it begins to use more than it asked for, all who follow the
     * tenant's allocations hear of it; other reports are for whoever asks. @throws {LEASE_LOST} {NOT_FOUND}
     */
    async reportUsage(scope: RequestScope, raw: unknown): Promise<string> {
      const { allocationId, epoch, usage, idempotencyKey } = parseInput(inputs.usage, raw);
      const used = toVector(usage);
      const id = await requireOwn(scope, allocationId);
      return commands.run(
        scope,
        { operation: 'reportResourceUsage', input: { allocationId, epoch, usage }, idempotencyKey },
        async (tx) => {
          const row = await lock(tx, scope, id);
          if (row.status !== 'active' || row.leaseEpoch !== epoch || row.lapsed)
            throw new PlatformError('LEASE_LOST', 'the lease has ended or its token is not the valid one', {
              path: ['input', 'epoch'],
            });
          return { response: id, events: (await reportUse(tx, row, used)).events };
        },
      );
    },

    /**
     * Extends a lease; the epoch shown is its token, and the new one is the next. What its holder uses may be told with it, as
     * `reportUsage` does. @throws {LEASE_LOST} {NOT_FOUND}
     */
    async renew(
      scope: RequestScope,
      allocationId: string,
      {
        epoch,
        durationMs,
        usage,
        idempotencyKey,
      }: CallOptions & {
        readonly epoch: number;
        readonly durationMs?: number | null | undefined;
        readonly usage?: unknown;
      },
    ): Promise<string> {
      const ms = parseInput(inputs.duration, durationMs, ['durationMs']) ?? null;
      const told = parseInput(inputs.used, usage, ['usage']);
      const id = await requireOwn(scope, allocationId);
      return commands.run(
        scope,
        {
          operation: 'renewAllocation',
          input: { allocationId, epoch, ms, ...(told == null ? {} : { usage: told }) },
          idempotencyKey,
        },
        async (tx) => {
          const row = await lock(tx, scope, id);
          if (row.status !== 'active' || row.leaseEpoch !== epoch || row.lapsed)
            throw new PlatformError('LEASE_LOST', 'the lease has ended or its token is not the valid one', {
              path: ['epoch'],
            });
          const events = told == null ? [] : (await reportUse(tx, row, toVector(told))).events;
          const renewed = await store.changeAllocation(
            tx,
            row,
            `lease_epoch = lease_epoch + 1, lease_ms = COALESCE($3::bigint, lease_ms), expires_at = clock_timestamp() + COALESCE($3::bigint, lease_ms) * interval '1 millisecond'`,
            [ms],
          );
          return { response: row.id, events: [...events, allocationEvent('allocation.renewed', renewed)] };
        },
      );
    },

    /** Gives a lease or a place in the queue back. @throws {INVALID_STATE} where it has ended, {NOT_FOUND} */
    async release(scope: RequestScope, allocationId: string, { reason, idempotencyKey }: CallOptions): Promise<string> {
      const id = await requireOwn(scope, allocationId);
      return commands.run(
        scope,
        { operation: 'releaseResources', input: { allocationId }, idempotencyKey },
        async (tx) => {
          await lockQueue(tx, scope.principal.tenantId);
          const row = await lock(tx, scope, id);
          if (row.status !== 'active' && row.status !== 'queued')
            throw new PlatformError('INVALID_STATE', `the allocation is ${row.status.toUpperCase()}`, {
              path: ['allocationId'],
            });
          const released = await end(tx, row, 'released', reason ?? null);
          return {
            response: row.id,
            events: [allocationEvent('allocation.released', released), ...(await pass(tx, row.tenantId))],
            audit: [{ action: 'allocation.release', resource: 'CoreResourceAllocation', resourceId: row.id }],
          };
        },
      );
    },

    /** Adds a node or changes the one of this name. @throws {INVALID_STATE} where less would be left than is leased */
    putNode(scope: RequestScope, raw: unknown): Promise<string> {
      const { idempotencyKey, capacity, ...input } = parseInput(inputs.node, raw);
      const { tenantId, subject } = scope.principal;
      return commands.run(
        scope,
        { operation: 'putResourceNode', input: { ...input, capacity }, idempotencyKey },
        async (tx) => {
          await lockQueue(tx, tenantId);
          const [row] = (await tx.unsafe(
            `INSERT INTO core.node AS n (tenant_id, id, name, pool, labels, capabilities, capacity, used, overcommit, healthy, created_by)
           VALUES ($1, $2, $3, $4, $5::text::jsonb, $6::text[], $7::float8[], '{0,0,0,0,0}', $8, $9, $10)
           ON CONFLICT (tenant_id, name) DO UPDATE SET pool = EXCLUDED.pool, labels = EXCLUDED.labels, capabilities = EXCLUDED.capabilities,
             capacity = EXCLUDED.capacity, overcommit = EXCLUDED.overcommit, healthy = EXCLUDED.healthy, version = n.version + 1, updated_at = now()
           RETURNING ${store.nodeColumns}`,
            [
              tenantId,
              newId(),
              input.name,
              input.pool,
              JSON.stringify(input.labels),
              input.capabilities,
              toVector(capacity) as never,
              input.overcommit,
              input.healthy,
              subject,
            ],
            { prepare: true },
          )) as unknown as NodeRow[];
          if (row!.used.some((used, at) => used > row!.capacity[at]! * row!.overcommit + 1e-9))
            throw new PlatformError('INVALID_STATE', 'more is leased on the node than this capacity', {
              path: ['input', 'capacity'],
            });
          const event: NewEvent = {
            streamId: allocationStream(tenantId),
            type: 'node.changed',
            data: { node: row! },
            tags: ['nodes'],
          };
          return {
            response: row!.id,
            events: [event, ...(await pass(tx, tenantId))],
            audit: [{ action: 'node.put', resource: 'CoreResourceNode', resourceId: row!.id }],
          };
        },
      );
    },

    /** What an owner may hold, and its share where resources are scarce. */
    setQuota(scope: RequestScope, raw: unknown): Promise<string> {
      const { idempotencyKey, ...input } = parseInput(inputs.quota, raw);
      const { tenantId, subject } = scope.principal;
      return commands.run(scope, { operation: 'setQuota', input, idempotencyKey }, async (tx) => {
        await lockQueue(tx, tenantId);
        await tx.unsafe(
          `INSERT INTO core.quota AS q (tenant_id, owner, hard, soft, weight, used, updated_by) VALUES ($1, $2, $3::float8[], $4::float8[], $5, '{0,0,0,0,0}', $6)
           ON CONFLICT (tenant_id, owner) DO UPDATE SET hard = EXCLUDED.hard, soft = EXCLUDED.soft, weight = EXCLUDED.weight, updated_by = EXCLUDED.updated_by, updated_at = now()`,
          [
            tenantId,
            input.owner,
            toVector(input.hard, unlimited) as never,
            toVector(input.soft, unlimited) as never,
            input.weight,
            subject,
          ],
          { prepare: true },
        );
        const event: NewEvent = {
          streamId: allocationStream(tenantId),
          type: 'quota.changed',
          data: { owner: input.owner },
          tags: ['quotas'],
        };
        return {
          response: input.owner,
          events: [event, ...(await pass(tx, tenantId))],
          audit: [{ action: 'quota.set', resource: 'CoreQuota', resourceId: input.owner }],
        };
      });
    },

    /** Ends leases that nobody renewed and goes on with the queues; answers how many leases ended. */
    async sweep(): Promise<number> {
      const expired = await store.findExpired(sql, sweepLimit);
      for (const [tenantId, own] of Map.groupBy(expired, (one) => one.tenantId))
        await commands.runAs(tenantId, 'system', async (tx) => {
          await lockQueue(tx, tenantId);
          const ids = own.map(({ id }) => id);
          const rows = await store.expireAllocations(tx, tenantId, ids, 'nobody renewed it');
          return { response: null, events: rows.map((row) => allocationEvent('allocation.expired', row)) };
        });
      for (const { tenantId } of await store.findQueuedTenants(sql))
        await commands.runAs(tenantId, 'system', async (tx) => ({ response: null, events: await pass(tx, tenantId) }));
      return expired.length;
    },
  };
}
