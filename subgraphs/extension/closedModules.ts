import { PlatformError } from '#shared/errors.ts';
import { createLru } from '#shared/lru.ts';
import { createPrincipal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Manifest } from './manifest/manifest.ts';
import { systemSubject } from './system.ts';

const askText = 'query ExtensionModules { coreManifest { status modules { moduleId status } } }';
/** What is known is asked for anew after this, ms: an event may have been lost. */
const maxAgeMs = 5_000;

interface Asked {
  readonly coreManifest: {
    readonly status: string;
    readonly modules: readonly { readonly moduleId: string; readonly status: string }[];
  } | null;
}

interface Known {
  readonly closed: ReadonlySet<string>;
  readonly freshUntilMs: number;
}

/** Which modules the active manifests of tenants disable; those that a manifest does not name are on. */
export function createClosedModules({ graph, bus, logger }: Pick<ModuleRuntime, 'graph' | 'bus' | 'logger'>) {
  const known = createLru<Known>(10_000);
  /** Of each tenant, how often its manifests have changed: a look that began before tells what was. */
  const changes = createLru<number>(10_000);

  const unsubscribe = bus.subscribe('core', (events) => {
    for (const { type, tenantId } of events) {
      if (!type.startsWith('manifest.')) continue;
      known.delete(tenantId);
      changes.set(tenantId, (changes.get(tenantId) ?? 0) + 1);
    }
  });

  /** @throws {UNAVAILABLE} */
  async function read(tenantId: string): Promise<ReadonlySet<string>> {
    const begun = changes.get(tenantId);
    const principal = createPrincipal({
      ...{ tenantId, subject: systemSubject, subjectType: 'service' as const },
      scopes: ['system:read'],
    });
    const { data, errors } = await graph.execute<Asked>(askText, {}, principal);
    // Where nothing in the graph keeps manifests, nothing is closed by one.
    const isNowhere = errors.some(({ code }) => code === 'GRAPHQL_VALIDATION_FAILED');
    if (errors.length > 0 && !isNowhere)
      throw new PlatformError('UNAVAILABLE', `the tenant's manifest could not be read: ${errors[0]!.message}`);
    const manifest = data?.coreManifest;
    const closed = new Set(
      manifest?.status === 'ACTIVE'
        ? manifest.modules.filter(({ status }) => status === 'DISABLED').map(({ moduleId }) => moduleId.toLowerCase())
        : [],
    );
    if (changes.get(tenantId) === begun) known.set(tenantId, { closed, freshUntilMs: performance.now() + maxAgeMs });
    return closed;
  }

  return {
    /** As of a moment ago; where it cannot be told, nothing is closed that was not before. */
    async of(tenantId: string): Promise<ReadonlySet<string>> {
      const found = known.get(tenantId);
      if (found !== undefined && found.freshUntilMs > performance.now()) return found.closed;
      return read(tenantId).catch((error: unknown) => {
        logger.warn({ tenantId, error: String(error) }, 'the manifest of a tenant could not be read');
        return found?.closed ?? new Set<string>();
      });
    },

    /** @throws {MODULE_DISABLED} where the tenant's manifest disables a module that the release requires @throws {UNAVAILABLE} */
    async requireOpen(tenantId: string, { compatibility }: Pick<Manifest, 'compatibility'>): Promise<void> {
      if (compatibility.required_modules.length === 0) return;
      const closed = await read(tenantId);
      const module = compatibility.required_modules.find((name) => closed.has(name));
      if (module !== undefined)
        throw new PlatformError(
          'MODULE_DISABLED',
          `it needs the module ${module}, which the tenant's manifest disables`,
          {
            details: { module },
          },
        );
    },

    close: unsubscribe,
  };
}

export type ClosedModules = ReturnType<typeof createClosedModules>;
