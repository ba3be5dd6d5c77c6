import { isDeepStrictEqual } from 'node:util';
import type { SubgraphName } from '../names.ts';
import type { Attributes } from './conditions/facts.ts';
import {
  type ConditionalReader,
  isReader,
  type ListedPermission,
  type ListedResource,
  readersOf,
} from './contextReaders.ts';
import type { EventRow } from './events.ts';
import type { Principal } from './principal.ts';
import { type ReplicaChange, type ReplicaEntry, replicaChanges } from './replica.ts';
import { holdsIn } from './rights.ts';
import type { Sql } from './sql.ts';

/** Who sees a private context besides its owner. */
export interface Access {
  readonly visibility: string | null;
  readonly ownerId: string | null;
  readonly members: readonly string[];
  /** Keys of whom its access list shows it; not there in what was told before lists did. */
  readonly readers?: readonly string[] | null;
  /** Whom it shows the context under conditions; null where there are none. */
  readonly conditional?: readonly ConditionalReader[] | null;
}

/** Whether the principal sees a private context. @param contextId null of a context that is not known */
export function seesPrivate(
  { ownerId, members, readers, conditional }: Omit<Access, 'visibility'>,
  principal: Principal,
  contextId: string | null | undefined,
): boolean {
  return (
    ownerId === principal.subject ||
    members.includes(principal.subject) ||
    isReader({ readers: readers ?? [], conditional: conditional ?? [] }, principal) ||
    (contextId != null && holdsIn(principal, 'context:admin', contextId))
  );
}

export interface ContextKey {
  readonly tenantId: string;
  readonly contextId: string;
}

export interface KnownContext {
  readonly tenantId: string;
  readonly id: string;
  readonly visibility: string | null;
  readonly ownerId: string | null;
  readonly readers: readonly string[] | null;
}

/** Whose a context is and who sees it, where it is asked for in the graph. */
export interface AskedAccess {
  readonly ownerId?: string | null;
  readonly accessControl?: {
    readonly visibility?: string | null;
    readonly permissions?: readonly ListedPermission[] | null;
  } | null;
}

/** Columns of a context that conditions of its access list may look at, as its events carry them. */
export interface ListedColumns {
  readonly status?: unknown;
  readonly type?: unknown;
  readonly lifecycleStage?: unknown;
  readonly domain?: unknown;
  readonly environment?: unknown;
  readonly tags?: unknown;
  readonly priority?: unknown;
  readonly category?: unknown;
  readonly customData?: unknown;
}

/** A context under the names that conditions know. */
export function listedAttributes(context: ListedColumns): Attributes {
  const { status, type, lifecycleStage, domain, environment, tags, priority, category, customData } = context;
  return { status, lifecycleStage, contextType: type, domain, environment, tags, priority, category, customData };
}

/** What to select of a context for `accessDetail`. */
export const accessFields =
  'ownerId accessControl { visibility permissions { principal principalType resource actions conditions } }';

/**
 * What replicas keep of who sees a context, out of its event or of what the graph answers.
 * @param resource what conditions look at; without it those of the list show the context to nobody, until its event is heard
 */
export function accessDetail(
  { ownerId, accessControl }: AskedAccess,
  resource: ListedResource | null = null,
): ReplicaEntry['detail'] {
  const { readers, conditional } = readersOf(accessControl?.permissions, resource);
  return {
    ownerId: ownerId ?? null,
    visibility: accessControl?.visibility ?? null,
    readers,
    ...(conditional.length === 0 ? {} : { conditional }),
  };
}

/** The same out of an event, which tells all that conditions of the list look at. */
export function toldAccess(context: AskedAccess & ListedColumns & { readonly id: string }): ReplicaEntry['detail'] {
  return accessDetail(context, { id: context.id, attributes: listedAttributes(context) });
}

/** Condition on the status of a participant of a replica: it takes part. Who asks to join (JOINING) does not yet. */
export const participates = (status: string) => `${status} <> 'LEFT' AND ${status} <> 'JOINING'`;

/** Status of a context that is no more. */
export const deletedContext = 'deleted';

/** A context as replicas keep it. */
export function readContext(event: EventRow): ReplicaEntry | null {
  if (!event.type.startsWith('context.')) return null;
  const context = event.data['context'] as (AskedAccess & ListedColumns & { id?: unknown }) | undefined;
  if (typeof context?.id !== 'string' || typeof context.status !== 'string') return null;
  return {
    id: context.id,
    status: event.type === 'context.deleted' ? deletedContext : context.status,
    detail: toldAccess({ ...context, id: context.id }),
  };
}

/** A participant as replicas keep it. */
export function readParticipant(event: EventRow): ReplicaEntry | null {
  if (!event.type.startsWith('context.participant.')) return null;
  const participant = event.data['participant'] as Readonly<Record<string, unknown>> | undefined;
  const { id, contextId, agentId, status } = participant ?? {};
  if (typeof id !== 'string' || typeof contextId !== 'string' || typeof agentId !== 'string') return null;
  return {
    id,
    status: event.type === 'context.participant.left' ? 'LEFT' : String(status),
    detail: { contextId, agentId },
  };
}

export const participantChanges = (events: readonly EventRow[]) => replicaChanges(events, readParticipant);

/** The contexts concerned, as the replica in a module's schema knows them now. */
export async function findKnownContexts(
  sql: Sql,
  schema: SubgraphName,
  keys: readonly ContextKey[],
): Promise<readonly KnownContext[]> {
  if (keys.length === 0) return [];
  return (await sql.unsafe(
    `SELECT c.tenant_id AS "tenantId", c.id, c.detail->>'visibility' AS visibility, c.detail->>'ownerId' AS "ownerId", c.detail->'readers' AS readers
     FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)) k
     JOIN ${schema}.replica c ON c.tenant_id = k.tenant_id AND c.type = 'Context' AND c.id = k.id`,
    [keys.map(({ tenantId }) => tenantId), keys.map(({ contextId }) => contextId)],
    { prepare: true },
  )) as unknown as KnownContext[];
}

/** Who sees a context, as the replica in a module's schema knows it now. */
export async function findAccess(sql: Sql, schema: SubgraphName, { tenantId, contextId }: ContextKey): Promise<Access> {
  const [row] = (await sql.unsafe(
    `SELECT c.detail->>'visibility' AS visibility, c.detail->>'ownerId' AS "ownerId", c.detail->'readers' AS readers, c.detail->'conditional' AS conditional, ARRAY(
       SELECT DISTINCT m.detail->>'agentId' FROM ${schema}.replica m WHERE m.tenant_id = $1 AND m.type = 'ContextParticipant'
         AND m.detail->>'contextId' = $2 AND ${participates('m.status')}) AS members
     FROM ${schema}.replica c WHERE c.tenant_id = $1 AND c.type = 'Context' AND c.id = $2::uuid`,
    [tenantId, contextId],
    { prepare: true },
  )) as unknown as Access[];
  return row ?? { visibility: null, ownerId: null, members: [], readers: [] };
}

const keyOf = (tenantId: string, id: unknown) => `${tenantId}/${String(id)}`;

/** Contexts whose circle of readers these changes alter. */
export function changedAccess(
  known: readonly KnownContext[],
  contexts: readonly ReplicaChange[],
  participants: readonly ReplicaChange[],
): readonly ContextKey[] {
  const before = new Map(known.map((entry) => [keyOf(entry.tenantId, entry.id), entry]));
  const found = new Map<string, ContextKey>();
  for (const { tenantId, id, detail } of contexts) {
    const was = before.get(keyOf(tenantId, id));
    if (!was) continue;
    const isAsItWas =
      was.visibility === detail['visibility'] &&
      was.ownerId === detail['ownerId'] &&
      isDeepStrictEqual(was.readers ?? [], detail['readers'] ?? []);
    if (isAsItWas) continue;
    found.set(keyOf(tenantId, id), { tenantId, contextId: id });
  }
  for (const { tenantId, detail } of participants) {
    const key = keyOf(tenantId, detail['contextId']);
    if (before.get(key)?.visibility === 'PRIVATE') found.set(key, { tenantId, contextId: String(detail['contextId']) });
  }
  return [...found.values()];
}

/** Contexts that are heard of for the first time. */
export function newContexts(known: readonly KnownContext[], contexts: readonly ReplicaChange[]): readonly ContextKey[] {
  const before = new Set(known.map(({ tenantId, id }) => keyOf(tenantId, id)));
  const fresh = contexts.filter(({ tenantId, id }) => !before.has(keyOf(tenantId, id)));
  return [...new Map(fresh.map(({ tenantId, id }) => [keyOf(tenantId, id), { tenantId, contextId: id }])).values()];
}
