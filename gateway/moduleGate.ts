import { GraphQLError } from 'graphql';
import type { Bus } from '#shared/bus.ts';
import { PlatformError, toExtensions } from '#shared/errors.ts';
import type { GraphResult } from '#shared/graph.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import type { Logger } from '#shared/telemetry.ts';

const askText = 'query ModuleGate { coreManifest { status modules { moduleId status } } }';

interface Asked {
  readonly coreManifest: {
    readonly status: string;
    readonly modules: readonly { readonly moduleId: string; readonly status: string }[];
  } | null;
}

interface Known {
  readonly disabled: ReadonlySet<string>;
  readonly freshUntilMs: number;
}

export interface ModuleGateOptions {
  readonly ask: (document: string, principal: Principal) => Promise<GraphResult<Asked>>;
  readonly bus: Bus;
  readonly logger: Logger;
  /** What is known is asked for anew after this, ms: an event may have been lost. @default 5_000 */
  readonly maxAgeMs?: number;
  /** Tenants that are kept. @default 10_000 */
  readonly maxTenants?: number;
}

export type ModuleGate = ReturnType<typeof createModuleGate>;

/** Modules that a tenant's active manifest disables answer nobody of the tenant, whoever asks; those of others go on. */
export function createModuleGate({ ask, bus, logger, maxAgeMs = 5_000, maxTenants = 10_000 }: ModuleGateOptions) {
  const none: ReadonlySet<string> = new Set();
  const known = new Map<string, Known>();
  const asking = new Map<string, Promise<ReadonlySet<string>>>();
  /** As whom the gate asks: it would wait for itself. */
  const own = new WeakSet<Principal>();

  function load(tenantId: string): Promise<ReadonlySet<string>> {
    const pending = asking.get(tenantId) ?? read(tenantId).finally(() => asking.delete(tenantId));
    asking.set(tenantId, pending);
    return pending;
  }

  /** Who cannot be told stays as it was: a manifest that is not read closes nothing. */
  async function read(tenantId: string): Promise<ReadonlySet<string>> {
    const principal = createPrincipal({
      tenantId,
      subject: 'gateway',
      subjectType: 'service',
      scopes: ['system:read'],
    });
    own.add(principal);
    let disabled = known.get(tenantId)?.disabled ?? none;
    try {
      const { data, errors } = await ask(askText, principal);
      if (errors.length > 0) throw new Error(errors[0]!.message);
      const manifest = data?.coreManifest ?? null;
      disabled = new Set(
        manifest?.status === 'ACTIVE'
          ? manifest.modules.filter(({ status }) => status === 'DISABLED').map(({ moduleId }) => moduleId.toLowerCase())
          : [],
      );
    } catch (error) {
      logger.warn({ tenantId, error: String(error) }, 'the manifest of a tenant could not be read');
    }
    known.delete(tenantId);
    known.set(tenantId, { disabled, freshUntilMs: performance.now() + maxAgeMs });
    const [oldest] = known.keys();
    if (known.size > maxTenants && oldest !== undefined) known.delete(oldest);
    return disabled;
  }

  const unsubscribe = bus.subscribe('core', (events) => {
    // A look that has begun may have seen the manifest as it was before.
    for (const { type, tenantId } of events)
      if (type.startsWith('manifest.') && known.has(tenantId))
        void Promise.resolve(asking.get(tenantId)).then(() => load(tenantId));
  });

  function closedTo(tenantId: string): ReadonlySet<string> | Promise<ReadonlySet<string>> {
    const found = known.get(tenantId);
    if (!found) return load(tenantId);
    if (found.freshUntilMs < performance.now()) void load(tenantId);
    return found.disabled;
  }

  return {
    /** Modules closed to a tenant. Nothing is waited for where they are known; what has aged is read meanwhile. */
    closedTo,
    /** Whether some module is closed to the tenant of whoever asks; the gate itself is answered whatever is closed. */
    narrows(principal: Principal): boolean | Promise<boolean> {
      if (own.has(principal)) return false;
      const closed = closedTo(principal.tenantId);
      return 'then' in closed ? closed.then(({ size }) => size > 0) : closed.size > 0;
    },
    /** Whether some module is closed to a tenant, as far as is known: answers that are kept may hold more than it may see. */
    isNarrowed: (tenantId: string): boolean => (known.get(tenantId)?.disabled.size ?? 0) > 0,
    close: unsubscribe,
  };
}

export const moduleDisabled = (module: string) =>
  new PlatformError('MODULE_DISABLED', `the manifest of the tenant disables ${module}`, { details: { module } });

export function moduleDisabledError(module: string): GraphQLError {
  const error = moduleDisabled(module);
  return new GraphQLError(error.message, { extensions: toExtensions(error) });
}
