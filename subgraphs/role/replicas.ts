import type { RightsChange } from '#shared/auth.ts';
import type { Bus } from '#shared/bus.ts';
import { runForAll } from '#shared/cancellation.ts';
import { createLru } from '#shared/lru.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { Logger } from '#shared/telemetry.ts';
import {
  applyChanges,
  buildSnapshot,
  carryPermissionSets,
  createDecisionPoint,
  createPermissionSets,
  type DecisionPoint,
  emptySnapshot,
  type PermissionSets,
  type Snapshot,
} from './decision/index.ts';
import { hasRights } from './decision/places.ts';
import { toChanges, toWorld } from './decisionRows.ts';
import { findRevision, findRowsSince } from './store.ts';

export interface RoleReplicasDeps {
  readonly sql: Sql;
  readonly bus: Bus;
  readonly logger: Logger;
}

/** Everything decisions of one tenant depend on, in memory, as of a revision. */
export interface TenantReplica {
  readonly revision: number;
  readonly snapshot: Snapshot;
  readonly point: DecisionPoint;
  /** Of the snapshot, computed when asked for. */
  sets(): PermissionSets;
}

/** The tenants' replicas that this process keeps. */
export interface RoleReplicas {
  /** The tenant's replica if it is there; undefined where it has to be loaded first. */
  peek(tenantId: string): TenantReplica | undefined;
  load(tenantId: string): Promise<TenantReplica>;
  /** The tenant's rows as of the revision that the transaction has locked. */
  readLocked(tx: SqlTransaction, tenantId: string, revision: number): Promise<Snapshot>;
  /** Takes over what this process has just committed: its own decisions know it at once. */
  adopt(tenantId: string, revision: number, snapshot: Snapshot): void;
  /** Calls back once a newer version is in force here; answers how to stop. */
  onChanged(listener: (change: RightsChange) => void): () => void;
  /** Reads what is committed now. */
  catchUp(tenantId: string): Promise<void>;
  close(): Promise<void>;
}

interface Slot extends TenantReplica {
  revision: number;
  snapshot: Snapshot;
  isStale: boolean;
  reading: Promise<void> | null;
}

const maxTenants = 5_000;
const retryMs = 200;

/**
 * Replicas are loaded at a tenant's first decision and follow the module's events. An event only says that there is
 * something newer: rows bear the revision that last changed them, and revisions rise in the order of the commits, so
 * that reading what is newer than one's own misses nothing, in whatever order events arrive and however often.
 */
export function createRoleReplicas({ sql, bus, logger }: RoleReplicasDeps): RoleReplicas {
  const slots = createLru<Slot>(maxTenants);
  const loading = new Map<string, Promise<Slot>>();
  const running = new Set<Promise<unknown>>();
  const listeners = new Set<(change: RightsChange) => void>();
  let closed = false;

  function tell(tenantId: string, before: Snapshot, after: Snapshot): void {
    if (listeners.size === 0 || before === after) return;
    // Records are replaced when the subject changes, or who has delegated to it; the policy with what roles give.
    const rolesChanged = before.policy !== after.policy;
    const concerns = (subject: string): boolean => {
      const record = after.subjects.get(subject);
      return record !== before.subjects.get(subject) || (rolesChanged && record !== undefined && hasRights(record));
    };
    for (const listener of listeners) listener({ tenantId, concerns });
  }

  function openSlot(): Slot {
    let sets: PermissionSets | undefined;
    const slot: Slot = {
      revision: 0,
      snapshot: emptySnapshot,
      isStale: false,
      reading: null,
      point: createDecisionPoint({ readSnapshot: () => slot.snapshot, maxDecisions: 20_000, maxSubjects: 5_000 }),
      sets: () => {
        sets = sets === undefined ? createPermissionSets(slot.snapshot) : carryPermissionSets(sets, slot.snapshot);
        return sets;
      },
    };
    return slot;
  }

  async function read(slot: Slot, tenantId: string): Promise<void> {
    // The revision first: what is committed later comes twice rather than never.
    const revision = await findRevision(sql, tenantId);
    if (revision <= slot.revision) return;
    const since = slot.revision;
    const rows = await findRowsSince(sql, tenantId, since);
    // Meanwhile this process may have committed something newer itself.
    if (revision <= slot.revision) return;
    const before = slot.snapshot;
    slot.snapshot =
      since === 0 && slot.revision === 0 ? buildSnapshot(toWorld(rows)) : applyChanges(slot.snapshot, toChanges(rows));
    slot.revision = revision;
    tell(tenantId, before, slot.snapshot);
  }

  function refresh(slot: Slot, tenantId: string): Promise<void> {
    slot.isStale = true;
    slot.reading ??= runForAll(async () => {
      while (slot.isStale && !closed) {
        slot.isStale = false;
        try {
          await read(slot, tenantId);
        } catch (error) {
          if (closed) return;
          logger.warn({ tenantId, error: String(error) }, 'changed roles cannot be read; they are read again');
          slot.isStale = true;
          await new Promise((resolve) => setTimeout(resolve, retryMs));
        }
      }
    }).finally(() => {
      slot.reading = null;
      // Marked between the last look and now.
      if (slot.isStale && !closed) void refresh(slot, tenantId);
    });
    const work = slot.reading;
    running.add(work);
    void work.finally(() => running.delete(work));
    return work;
  }

  function load(tenantId: string): Promise<Slot> {
    const known = slots.get(tenantId);
    if (known) return Promise.resolve(known);
    let work = loading.get(tenantId);
    if (!work) {
      work = runForAll(async () => {
        const slot = openSlot();
        await read(slot, tenantId);
        const other = slots.get(tenantId);
        if (other) return other;
        slots.set(tenantId, slot);
        // What was committed while it was not listening yet.
        await refresh(slot, tenantId);
        return slot;
      }).finally(() => loading.delete(tenantId));
      loading.set(tenantId, work);
    }
    return work;
  }

  const unsubscribe = bus.subscribe('role', (messages) => {
    const tenants = new Set(messages.filter((message) => 'eventId' in message).map(({ tenantId }) => tenantId));
    // Rows have changed that bear no newer revision: read anew from the first one.
    for (const { type, tenantId } of messages) if (type === 'subject.erased') slots.delete(tenantId);
    for (const tenantId of tenants) {
      const slot = slots.get(tenantId);
      if (slot) void refresh(slot, tenantId);
      // Let go meanwhile, though somebody may still go by what was decided then: read anew, and all are concerned.
      else if (listeners.size > 0) {
        void load(tenantId).then(
          () => {
            for (const listener of listeners) listener({ tenantId, concerns: () => true });
          },
          (error: unknown) => logger.warn({ tenantId, error: String(error) }, 'changed roles cannot be read'),
        );
      }
    }
  });

  return {
    peek: (tenantId) => slots.get(tenantId),
    load,
    async readLocked(tx, tenantId, revision) {
      const slot = slots.get(tenantId);
      if (slot === undefined || slot.revision > revision) {
        return buildSnapshot(toWorld(await findRowsSince(tx, tenantId, 0)));
      }
      const { snapshot, revision: since } = slot;
      if (since === revision) return snapshot;
      const rows = await findRowsSince(tx, tenantId, since);
      return since === 0 ? buildSnapshot(toWorld(rows)) : applyChanges(snapshot, toChanges(rows));
    },
    adopt(tenantId, revision, snapshot) {
      const slot = slots.get(tenantId);
      if (slot === undefined || slot.revision >= revision) return;
      const before = slot.snapshot;
      slot.snapshot = snapshot;
      slot.revision = revision;
      tell(tenantId, before, snapshot);
    },
    onChanged(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async catchUp(tenantId) {
      const slot = await load(tenantId);
      await refresh(slot, tenantId);
    },
    async close() {
      closed = true;
      unsubscribe();
      await Promise.allSettled(running);
      slots.clear();
    },
  };
}
