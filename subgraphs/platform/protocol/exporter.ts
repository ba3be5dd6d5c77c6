import type { ProtocolDocument } from '#shared/codec.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { type ProtocolModule, protocolModules, refsOf } from '../../../schema/protocol/index.ts';
import { isSubgraphName } from '../../names.ts';
import { readObservabilityEvents } from './observability.ts';

/** Modules whose objects stand outside contexts: they come along where something refers to them. */
const referredModules = ['role', 'core'] as const;

/** Gives frozen protocol objects out again, through the modules' codecs. */
export function createExporter(runtime: ModuleRuntime) {
  const { codecs, sqlOf, sql } = runtime;

  async function read(
    principal: Principal,
    module: ProtocolModule,
    ids: readonly string[],
  ): Promise<ProtocolDocument[]> {
    const codec = isSubgraphName(module) ? codecs.get(module) : undefined;
    if (!codec || !isSubgraphName(module) || ids.length === 0) return [];
    const visible = await codec.visibleTo?.(sqlOf(module), principal, ids);
    const found = await codec.read(
      sqlOf(module),
      principal.tenantId,
      visible ? ids.filter((id) => visible.has(id)) : ids,
    );
    return ids.flatMap((id): ProtocolDocument[] => [found.get(id)].filter((document) => document !== undefined));
  }

  return {
    async exportObject(principal: Principal, module: ProtocolModule, id: string): Promise<ProtocolDocument | null> {
      if (!isId(id)) return null;
      const [document] = await read(principal, module, [id]);
      return document ?? null;
    },

    async exportBundle(principal: Principal, contextId: string): Promise<Record<string, unknown[]> | null> {
      if (!isId(contextId)) return null;
      const [context] = await read(principal, 'context', [contextId]);
      if (!context) return null;
      const bundle: Record<string, ProtocolDocument[]> = Object.fromEntries(
        protocolModules.map((module) => [module, []]),
      );
      bundle['context'] = [context];
      for (const module of protocolModules) {
        const codec = isSubgraphName(module) ? codecs.get(module) : undefined;
        if (!codec || !isSubgraphName(module) || module === 'context') continue;
        bundle[module] = await read(
          principal,
          module,
          await codec.idsOfContext(sqlOf(module), principal.tenantId, contextId),
        );
      }
      const referred = new Map<string, Set<string>>(referredModules.map((module) => [module, new Set()]));
      for (const module of protocolModules) {
        for (const document of bundle[module]!) {
          for (const ref of refsOf(module, document))
            if (ref.module !== null && isId(ref.id)) referred.get(ref.module)?.add(ref.id);
        }
      }
      const companions = await sql<{ module: string; objectId: string }[]>`
        SELECT o.module, o.object_id AS "objectId" FROM platform.import c JOIN platform.import o USING (tenant_id, bundle_id)
        WHERE c.tenant_id = ${principal.tenantId} AND c.module = 'context' AND c.object_id = ${contextId} AND o.module = ANY(${[...referredModules]})
        ORDER BY o.ordinal`;
      for (const { module, objectId } of companions) referred.get(module)?.add(objectId);
      for (const module of referredModules) bundle[module] = await read(principal, module, [...referred.get(module)!]);
      return {
        ...bundle,
        events: await readObservabilityEvents({ sqlOf, codecs }, principal.tenantId, { contextId, bundle }),
      };
    },
  };
}
