import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { boundTotal } from './bandwidth.ts';
import type { Commands } from './commands.ts';
import type { Contexts } from './contexts.ts';
import {
  defaultConfig,
  generatedLinks,
  layoutOf,
  mergeConfig,
  requireShape,
  requireUniqueNodes,
  toLinks,
  toNode,
} from './creation.ts';
import { networkEvent } from './events.ts';
import { connectivityNodes, describeStructure, type FiguresTask } from './figures.ts';
import * as inputs from './inputs.ts';
import type { NetworkLinkRow, NetworkNodeRow, NetworkRow, NetworkStatsValue } from './rows.ts';
import { computedStatus } from './states.ts';
import { insertLinks, insertNetworks, insertNodes } from './store.ts';
import { createTopology } from './topology.ts';

const figuresThread = new URL('./figures.ts', import.meta.url);
/** Nodes up to which a structure is described at once: a thread costs more than that. */
const inlineNodes = 64;

export type Describe = (task: FiguresTask, scope?: Pick<RequestScope, 'signal'>) => Promise<NetworkStatsValue>;

/** Figures of structures, off the event loop unless they are small. */
export function createDescribe({ compute }: Pick<ModuleRuntime, 'compute'>): Describe {
  return async (task, scope) =>
    task.nodeCount <= inlineNodes && task.links.length <= inlineNodes * 8
      ? describeStructure(task)
      : compute.run<NetworkStatsValue>(figuresThread, 'describeStructure', task, {
          lane: 'interactive',
          signal: scope?.signal,
          timeoutMs: 30_000,
        });
}

/** Links by the places of their ends. */
export function endsOf(nodes: readonly NetworkNodeRow[], links: readonly NetworkLinkRow[]) {
  const places = new Map(nodes.map(({ id }, at) => [id, at]));
  return links.map(({ sourceId, targetId, direction }) => ({
    source: places.get(sourceId)!,
    target: places.get(targetId)!,
    isTwoWay: direction === 'bidirectional',
  }));
}

export interface NewNetwork {
  readonly contextId: string;
  readonly name: string;
  readonly description: string | null;
  readonly topologyType: string;
  readonly layout: NetworkRow['layout'];
  readonly config: inputs.ConfigInput | null | undefined;
  readonly governance?: Readonly<Record<string, unknown>> | null | undefined;
  readonly approval: NetworkRow['approval'];
  readonly provision: boolean;
  readonly networkId: string;
  readonly nodes: readonly NetworkNodeRow[];
  readonly links: readonly NetworkLinkRow[];
  readonly stats: NetworkStatsValue;
}

export type Networks = ReturnType<typeof createNetworks>;

/** Networks as they come into being: given, generated or read from a file. */
export function createNetworks(
  runtime: ModuleRuntime,
  { commands, contexts }: { readonly commands: Commands; readonly contexts: Contexts },
) {
  const describe = createDescribe(runtime);

  /** Stores a network whose rows are checked. */
  function store(
    scope: RequestScope,
    made: NewNetwork,
    call: { readonly operation: string; readonly input: unknown; readonly idempotencyKey: string | null | undefined },
  ): Promise<{ readonly networkId: string }> {
    const { principal } = scope;
    const now = new Date().toISOString();
    const state = made.provision
      ? computedStatus(made.nodes, createTopology(made.nodes, made.links))
      : { status: 'draft' as const, reason: null };
    const row: NetworkRow = {
      tenantId: principal.tenantId,
      id: made.networkId,
      ...{ contextId: made.contextId, name: made.name, description: made.description },
      topologyType: made.topologyType.toLowerCase(),
      layout: made.layout,
      status: state.status,
      statusReason: state.reason,
      config: mergeConfig(defaultConfig, made.config),
      stats: made.stats,
      alerts: [],
      protocol: made.governance == null ? null : { governance: made.governance },
      ...{ approval: made.approval, pending: null, refusal: null },
      structure: 1,
      version: 1,
      ...{ createdAt: now, createdBy: principal.subject, updatedAt: now, updatedBy: principal.subject },
    };
    return commands.run(scope, call, async (tx) => {
      await insertNetworks(tx, [row]);
      await insertNodes(tx, made.nodes);
      await insertLinks(tx, made.links);
      await boundTotal(tx, row, row.config);
      return {
        response: { networkId: row.id },
        events: [networkEvent('network.created', row, { nodes: made.nodes.length, links: made.links.length })],
        audit: [{ action: `network.${call.operation}`, resource: 'Network', resourceId: row.id }],
      };
    });
  }

  return {
    describe,
    store,

    /** @throws {NOT_FOUND} {CONTEXT_NOT_ACTIVE} {DUPLICATE_NODE} {DANGLING_LINK} {SHAPE_MISMATCH} {DISCONNECTED} {REDUNDANCY_UNSATISFIABLE} {LIMIT_EXCEEDED} */
    async create(scope: RequestScope, raw: unknown): Promise<{ readonly networkId: string }> {
      const input = parseInput(inputs.create, raw, ['input']);
      await contexts.requireOpen(scope.principal, input.contextId);
      const of = { tenantId: scope.principal.tenantId, networkId: newId() };
      const nodes = input.nodes.map((node, place) => toNode(node, of, place));
      requireUniqueNodes(nodes, ['input', 'nodes']);
      const layout = layoutOf(input.topologyType, nodes.length);
      const defaults = input.linkDefaults;
      if (layout === 'SINGLE' && nodes.length > 1) requireShape(input.topologyType, nodes, []);
      const links =
        input.links == null
          ? generatedLinks(layout, nodes, {
              ...of,
              defaults,
              redundancy: input.redundancyK ?? 2,
              fanOut: input.fanOut,
            })
          : toLinks(input.links, nodes, { ...of, defaults, firstPlace: 0, path: ['input', 'links'] });
      if (input.links != null) requireShape(input.topologyType, nodes, links);
      if (links.length > inputs.maxLinks)
        throw new PlatformError('LIMIT_EXCEEDED', `expected at most ${inputs.maxLinks} links, got ${links.length}`, {
          path: ['input', 'nodes'],
        });
      const stats = await describe(
        {
          nodeCount: nodes.length,
          links: endsOf(nodes, links),
          mostConnectivity: Math.max(4, input.redundancyK ?? 0),
        },
        scope,
      );
      requireConnected(stats);
      if (input.redundancyK != null) requireRedundancy(stats, input.redundancyK);
      return store(
        scope,
        {
          ...{ contextId: input.contextId, name: input.name, description: input.description ?? null },
          ...{ topologyType: input.topologyType, layout: input.links == null ? layout : 'GIVEN' },
          ...{
            governance: input.governance,
            config: input.config,
            approval: input.approval ?? null,
            provision: input.provision,
            networkId: of.networkId,
            nodes,
            links,
            stats,
          },
        },
        { operation: 'create', input, idempotencyKey: input.idempotencyKey },
      );
    },
  };
}

/** @throws {DISCONNECTED} */
export function requireConnected(stats: NetworkStatsValue): void {
  if (stats.components > 1)
    throw new PlatformError('DISCONNECTED', `the links leave the nodes in ${stats.components} parts`, {
      path: ['input', 'links'],
      details: { components: stats.components },
    });
}

/** @throws {REDUNDANCY_UNSATISFIABLE} {LIMIT_EXCEEDED} */
function requireRedundancy({ nodeCount, vertexConnectivity }: NetworkStatsValue, wanted: number): void {
  const path = ['input', 'redundancyK'];
  if (vertexConnectivity === null)
    throw new PlatformError(
      'LIMIT_EXCEEDED',
      `redundancy is proved up to ${connectivityNodes} nodes, got ${nodeCount}`,
      {
        path,
      },
    );
  if (vertexConnectivity < wanted)
    throw new PlatformError(
      'REDUNDANCY_UNSATISFIABLE',
      `the loss of ${vertexConnectivity} nodes parts others, expected ${wanted} at least`,
      { path, details: { vertexConnectivity } },
    );
}
