import { z } from 'zod';
import {
  createNodeIndex,
  limitExceeded,
  malformed,
  maxReadDemands,
  maxReadLinks,
  type ReadTopology,
  readPlace,
  requireFileSize,
  requireTwoEnds,
} from './topology.ts';

const key = z.string().min(1).max(200);
const amount = z.number().nonnegative().max(1e12);

const shape = z.object({
  meta: z.object({}).loose().optional(),
  nodes: z.array(z.object({ id: key, longitude: z.number().optional(), latitude: z.number().optional() })).min(1),
  links: z.array(
    z.object({
      id: key,
      source: key,
      target: key,
      pre_installed_capacity: amount.optional(),
      routing_cost: amount.optional(),
      modules: z
        .array(z.object({ module_capacity: amount, module_cost: amount }))
        .max(1_000)
        .optional(),
    }),
  ),
  demands: z
    .array(z.object({ id: key, source: key, target: key, demand_value: amount, routing_unit: amount.optional() }))
    .default([]),
});

/**
 * Reads SNDlib's JSON (Orlowski et al. 2010). Links and demands are undirected there. A link's capacity is what is installed
 * before, else its smallest module, else unknown; demand values count routing units, of 1 where none is given. Places
 * that are no degrees (some instances use other coordinates) are passed over.
 * @throws {MALFORMED_TOPOLOGY} {DUPLICATE_NODE} {DANGLING_LINK} {SHAPE_MISMATCH} {LIMIT_EXCEEDED}
 */
export function readSndlib(text: string): ReadTopology {
  requireFileSize(text);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw malformed(`expected JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = shape.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw malformed(`${issue!.path.join('.')}: ${issue!.message}`);
  }
  const { nodes, links, demands } = parsed.data;
  if (links.length > maxReadLinks) throw limitExceeded(`expected at most ${maxReadLinks} links, got ${links.length}`);
  if (demands.length > maxReadDemands)
    throw limitExceeded(`expected at most ${maxReadDemands} demands, got ${demands.length}`);
  const index = createNodeIndex();
  const isOnGlobe = nodes.every(
    ({ longitude, latitude }) => Math.abs(longitude ?? 0) <= 180 && Math.abs(latitude ?? 0) <= 90,
  );
  const readNodes = nodes.map(({ id, latitude, longitude }) => {
    index.add(id);
    return {
      key: id,
      label: id,
      place: isOnGlobe ? readPlace(latitude, longitude, `node ${id}`) : null,
    };
  });
  const endsOf = (what: string, given: { readonly source: string; readonly target: string }) => {
    const ends = { source: index.require(given.source, what), target: index.require(given.target, what) };
    requireTwoEnds(ends.source, ends.target, what);
    return ends;
  };
  requireUnique(links, 'links');
  requireUnique(demands, 'demands');
  return {
    name: null,
    loops: 0,
    nodes: readNodes,
    links: links.map((link) => {
      const modules = (link.modules ?? []).map(({ module_capacity: capacity }) => capacity).filter((one) => one > 0);
      const installed = link.pre_installed_capacity ?? 0;
      const smallest = modules.length > 0 ? Math.min(...modules) : null;
      return {
        ...endsOf(`link ${link.id}`, link),
        isTwoWay: true,
        capacityMbps: installed > 0 ? installed : smallest,
        costPerGb: link.routing_cost ?? null,
      };
    }),
    demands: demands.map((demand) => ({
      ...endsOf(`demand ${demand.id}`, demand),
      mbps: demand.demand_value * (demand.routing_unit || 1),
    })),
  };
}

/** @throws {MALFORMED_TOPOLOGY} */
function requireUnique(entries: readonly { readonly id: string }[], what: string): void {
  const seen = new Set<string>();
  for (const { id } of entries) {
    if (seen.has(id)) throw malformed(`two ${what} have the id ${JSON.stringify(id.slice(0, 60))}`);
    seen.add(id);
  }
}
