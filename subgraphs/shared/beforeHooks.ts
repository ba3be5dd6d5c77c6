import { LRUCache } from 'lru-cache';
import type { SubgraphName } from '../names.ts';
import { type Consumer, createConsumer } from './consumer.ts';
import type { RequestScope } from './context.ts';
import { PlatformError } from './errors.ts';
import type { EventRow } from './events.ts';
import type { GraphResult } from './graph.ts';
import { isId } from './ids.ts';
import { createPrincipal, type Principal } from './principal.ts';
import { createReplica, type ReplicaEntry, replicaChanges } from './replica.ts';
import type { ModuleRuntime } from './subgraph.ts';

const runText = `mutation RunHooks($input: RunExtensionHooksInput!) {
  runExtensionHooks(input: $input) { payload vetoed vetoReason vetoedBy userErrors { code message } }
}`;

/** Of each hook: somebody waits for what it stands before. */
const hookTimeoutMs = 1_000;
/** Of all of them together. */
const allTimeoutMs = 5_000;
/** How long what another instance has heard of may be unknown in this one. */
const knownForMs = 1_000;
const maxTenants = 1_000;

/** Events of the extension module after which another extension, or none, is to be asked. */
const heardTypes = ['extension.status.changed', 'extension.reloaded', 'extension.uninstalled'];

export interface AskedBefore<Payload> {
  /** Point of the module's own work, as the extension module names it. */
  readonly point: string;
  /** Extensions of this context are asked. */
  readonly contextId: string;
  /** What is going to be done, as JSON. */
  readonly payload: Readonly<Record<string, unknown>>;
  /** Reads what a hook has made of the payload. What it throws counts as a failure of the hook. */
  readonly read: (payload: unknown) => Payload;
  /** Who sees the context, where the caller does not yet: extensions are asked in this one's name. */
  readonly inNameOf?: string;
}

export interface BeforeHooks {
  /** Whether an extension of the tenant is to be asked before the point, in any context. Costs no call. */
  isHeard(tenantId: string, point: string): Promise<boolean>;
  /**
   * Asks the extensions of a context before something is done. Answers what they have made of the payload, or null where
   * all is as it was. One that fails changes nothing, unless its manifest says `required`.
   * @throws {HOOK_VETOED} with the extension's reason, {UNAVAILABLE} where one that is required did not answer
   */
  ask<Payload>(scope: RequestScope, asked: AskedBefore<Payload>): Promise<Payload | null>;
  /** Follows the extension module. */
  follow(): Promise<Consumer>;
}

/** By context and point: whether one of those who listen is required. */
type Listeners = ReadonlyMap<string, boolean>;

interface HooksAnswer {
  readonly runExtensionHooks: {
    readonly payload: unknown;
    readonly vetoed: boolean | null;
    readonly vetoReason: string | null;
    readonly vetoedBy: string | null;
    readonly userErrors: readonly { readonly code: string; readonly message: string }[];
  } | null;
}

const keyOf = (contextId: string, point: string): string => `${contextId} ${point}`;

/**
 * The doors of a module at which extensions are asked. Who listens it knows from the extension module's events: where
 * nobody does, which is nearly always, asking costs nothing.
 */
export function createBeforeHooks(runtime: ModuleRuntime, module: SubgraphName): BeforeHooks {
  const { sql, graph, logger } = runtime;
  const replica = createReplica({
    sql,
    module,
    type: 'ExtensionHooks',
    graph,
    // Known by events alone: nobody looks one up.
    ask: async () => null,
  });
  const known = new LRUCache<string, Promise<Listeners>>({ max: maxTenants, ttl: knownForMs });

  async function read(tenantId: string): Promise<Listeners> {
    const rows = (await sql.unsafe(
      `SELECT detail FROM ${module}.replica WHERE tenant_id = $1 AND type = 'ExtensionHooks' AND status = 'listening'`,
      [tenantId],
      { prepare: true },
    )) as unknown as readonly { readonly detail: HooksDetail }[];
    const listeners = new Map<string, boolean>();
    for (const { detail } of rows)
      for (const { point, required } of detail.listens) {
        const key = keyOf(detail.contextId, point);
        listeners.set(key, required || listeners.get(key) === true);
      }
    return listeners;
  }

  function listenersOf(tenantId: string): Promise<Listeners> {
    const held = known.get(tenantId);
    if (held) return held;
    const reading = read(tenantId);
    known.set(tenantId, reading);
    reading.catch(() => known.delete(tenantId));
    return reading;
  }

  async function run(principal: Principal, input: object): Promise<NonNullable<HooksAnswer['runExtensionHooks']>> {
    const timeout = AbortSignal.timeout(allTimeoutMs);
    const late = new Promise<never>((_resolve, reject) => {
      timeout.addEventListener('abort', () => reject(new Error(`no answer within ${allTimeoutMs} ms`)), { once: true });
    });
    const answer = graph.execute<HooksAnswer>(runText, { input }, principal, timeout);
    const { data, errors }: GraphResult<HooksAnswer> = await Promise.race([answer, late]);
    const result = data?.runExtensionHooks;
    const failure = errors[0] ?? result?.userErrors[0];
    if (failure) throw new Error(failure.message);
    if (!result) throw new Error('the hooks did not answer');
    return result;
  }

  return {
    async isHeard(tenantId, point) {
      const listeners = await listenersOf(tenantId);
      return [...listeners.keys()].some((key) => key.endsWith(` ${point}`));
    },

    async ask(scope, { point, contextId, payload, read: readPayload, inNameOf }) {
      const { principal } = scope;
      const isRequired = (await listenersOf(principal.tenantId)).get(keyOf(contextId, point));
      if (isRequired === undefined) return null;
      try {
        const given = JSON.parse(JSON.stringify(payload)) as unknown;
        const result = await run(asking(principal, inNameOf), {
          contextId,
          point,
          payload: given,
          timeoutMs: hookTimeoutMs,
        });
        if (result.vetoed === true)
          throw new PlatformError('HOOK_VETOED', `an extension refuses: ${result.vetoReason ?? 'it gave no reason'}`, {
            details: { point, extensionId: result.vetoedBy },
          });
        return JSON.stringify(result.payload) === JSON.stringify(given) ? null : readPayload(result.payload);
      } catch (error) {
        if (error instanceof PlatformError && error.code === 'HOOK_VETOED') throw error;
        logger.warn({ point, contextId, error: String(error) }, 'what extensions say before a point was not heard');
        if (!isRequired) return null;
        throw new PlatformError('UNAVAILABLE', `an extension that is required before ${point} did not answer`, {
          details: { point },
        });
      }
    },

    follow() {
      const source = runtime.sqlOf('extension');
      return createConsumer({
        name: `${module}.hooks`,
        module: 'extension',
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('extension'),
        bus: runtime.bus,
        logger,
        types: heardTypes,
        // The replica lies in this module's database, which may be another one than the events'.
        handle: (events, tx) => replica.apply(sql === source ? tx : sql, replicaChanges(events, readHooks)),
        afterCommit: () => known.clear(),
      });
    },
  };
}

interface HooksDetail extends Readonly<Record<string, unknown>> {
  readonly contextId: string;
  readonly listens: readonly { readonly point: string; readonly required: boolean }[];
}

/** Extensions are asked for whoever acts, also where that one may not call them by itself. */
function asking(
  { tenantId, subject, subjectType, roles, scopes, isBounded }: Principal,
  inNameOf: string | undefined,
): Principal {
  if (inNameOf === undefined)
    return createPrincipal({
      ...{ tenantId, subject, subjectType, roles },
      scopes: [...scopes, 'extension:execute'],
      ...(isBounded === true ? { isBounded } : {}),
    });
  return createPrincipal({ tenantId, subject: inNameOf, scopes: ['context:read', 'extension:execute'] });
}

/** An extension that runs says once, when it begins to, before what it listens; one that does not run listens to nothing. */
function readHooks({ data }: EventRow): ReplicaEntry | null {
  const extension = data['extension'] as { id?: unknown; contextId?: unknown; runtimeState?: unknown } | undefined;
  if (!isId(extension?.id)) return null;
  const { id, contextId, runtimeState } = extension as { id: string; contextId: string; runtimeState: string };
  if (runtimeState !== 'active' && runtimeState !== 'reloading') return { id, status: 'silent', detail: {} };
  const listens = data['listens'] as HooksDetail['listens'] | undefined;
  if (!Array.isArray(listens)) return null;
  const detail: HooksDetail = { contextId, listens };
  return { id, status: listens.length > 0 ? 'listening' : 'silent', detail };
}
