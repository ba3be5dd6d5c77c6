import type { Principal } from '#shared/principal.ts';
import type { SubscriptionHubDeps } from './contract.ts';
import type { FormatError } from './errors.ts';
import type { StreamFeed } from './feed.ts';
import { createGroup, type Group } from './group.ts';
import type { HubMetrics } from './metrics.ts';
import type { CompiledSubscription } from './operation.ts';
import { createPayloadBuilder } from './payload.ts';
import type { SubscriptionPlanner } from './planner.ts';
import { createResultWriters } from './resultWriters.ts';
import type { Variables } from './selection.ts';
import type { TickFlusher } from './tick.ts';

export interface GroupRegistryDeps {
  readonly planner: SubscriptionPlanner;
  readonly feed: StreamFeed;
  readonly createRequestContext: SubscriptionHubDeps['createRequestContext'];
  readonly restTimeoutMs: number;
  readonly recentPayloads: number;
  readonly formatError: FormatError;
  readonly correlationOf?: SubscriptionHubDeps['correlationOf'];
  readonly metrics: HubMetrics;
  readonly flusher: TickFlusher;
  /** Rights beside those of the token, by which answers to equal tokens differ. @default none */
  readonly rightsKey?: SubscriptionHubDeps['rightsKey'];
}

/** A share in a group; the last one given back closes it. */
export interface GroupHold {
  readonly group: Group;
  release(): void;
}

export interface GroupRequest {
  readonly compiled: CompiledSubscription;
  readonly variables: Variables;
  readonly streamId: string;
  readonly principal: Principal;
}

interface Entry {
  readonly group: Group;
  holders: number;
  readonly close: () => void;
}

/** Groups by what makes their results equal: operation, variables, stream, tenant, permissions and, where it matters, subject. */
export function createGroupRegistry(deps: GroupRegistryDeps) {
  const { feed, planner, metrics } = deps;
  const entries = new Map<string, Entry>();
  const writers = createResultWriters(planner);

  function createEntry(key: string, { compiled, variables, streamId, principal }: GroupRequest): Entry {
    const { source } = compiled;
    const lease = feed.acquire({ module: source.module, tenantId: source.tenantId ?? principal.tenantId, streamId });
    const group = createGroup({
      follower: lease.follower,
      source,
      fieldName: compiled.fieldName,
      build: createPayloadBuilder({
        planner,
        subscription: compiled,
        source,
        variables,
        writers,
        restTimeoutMs: deps.restTimeoutMs,
        formatError: deps.formatError,
        correlationOf: deps.correlationOf,
      }),
      recentPayloads: deps.recentPayloads,
      metrics,
      flusher: deps.flusher,
      createContext: (member, event) => deps.createRequestContext(member.principal, member.connection, event),
    });
    const entry: Entry = {
      group,
      holders: 0,
      close() {
        group.close();
        lease.release();
        if (entries.get(key) === entry) entries.delete(key);
        metrics.groups(entries.size);
      },
    };
    entries.set(key, entry);
    metrics.groups(entries.size);
    return entry;
  }

  return {
    hold(request: GroupRequest): GroupHold {
      const key = keyOf(request, deps.rightsKey?.(request.principal) ?? '');
      const known = entries.get(key);
      const isBroken = known?.group.follower.broken !== undefined;
      if (known !== undefined && isBroken) feed.forget(known.group.follower);
      const entry = known === undefined || isBroken ? createEntry(key, request) : known;
      entry.holders++;
      const unwatch = entry.group.follower.watch();
      let released = false;
      return {
        group: entry.group,
        release() {
          if (released) return;
          released = true;
          unwatch();
          entry.holders--;
          if (entry.holders === 0) entry.close();
        },
      };
    },
    get size(): number {
      return entries.size;
    },
  };
}

function keyOf({ compiled, variables, streamId, principal }: GroupRequest, rightsKey: string): string {
  const { tenantId, permissionKey, subject } = principal;
  return JSON.stringify([
    compiled.text,
    canonical(variables),
    streamId,
    tenantId,
    permissionKey,
    rightsKey,
    compiled.scope === 'SUBJECT' ? subject : null,
  ]);
}

/** Equal values, equal text: the order of object keys a client happens to send makes no group of its own. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, inner]) => [name, canonical(inner)]));
}
