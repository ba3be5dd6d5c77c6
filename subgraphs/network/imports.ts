import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { parseInput, textProblem } from '#shared/validation.ts';
import type { Contexts } from './contexts.ts';
import { toLinks, toNode } from './creation.ts';
import * as inputs from './inputs.ts';
import { endsOf, type Networks, requireConnected } from './networks.ts';
import { readGml } from './readers/gml.ts';
import { readSndlib } from './readers/sndlib.ts';
import { malformed, type ReadTopology, requireFileSize } from './readers/topology.ts';
import type { NetworkStatsValue } from './rows.ts';

export interface ImportedNetwork {
  readonly networkId: string | null;
  readonly stats: NetworkStatsValue;
  readonly nodeIds: readonly { readonly key: string; readonly nodeId: string }[];
  readonly demands: readonly { readonly source: string; readonly target: string; readonly mbps: number }[];
  readonly skippedLoops: number;
}

/** Networks read from files of others. */
export function createNetworkImports({
  networks,
  contexts,
}: {
  readonly networks: Networks;
  readonly contexts: Contexts;
}) {
  return {
    /** @throws {MALFORMED_TOPOLOGY} {DUPLICATE_NODE} {DANGLING_LINK} {SHAPE_MISMATCH} {LIMIT_EXCEEDED} {DISCONNECTED} {NOT_FOUND} */
    async importFile(scope: RequestScope, raw: unknown): Promise<ImportedNetwork> {
      const input = parseInput(inputs.importFile, raw, ['input']);
      requireFileSize(input.text);
      await contexts.requireOpen(scope.principal, input.contextId);
      const read: ReadTopology = input.format === 'GML' ? readGml(input.text) : readSndlib(input.text);
      for (const [at, { label }] of read.nodes.entries()) {
        const problem = textProblem(label);
        if (problem !== null) throw malformed(`node ${at + 1}: ${problem}`);
      }
      const of = { tenantId: scope.principal.tenantId, networkId: newId() };
      const nodes = read.nodes.map(({ label, place }, at) =>
        toNode(
          {
            kind: 'OTHER',
            status: 'ACTIVE',
            required: false,
            name: label.slice(0, 255) || null,
            location: place,
          },
          of,
          at,
        ),
      );
      const idOf = (place: number) => nodes[place]!.id;
      const links = toLinks(
        read.links.map(({ source, target, isTwoWay, capacityMbps, costPerGb }) => ({
          ...{ sourceId: idOf(source), targetId: idOf(target), capacityMbps, costPerGb },
          ...{ type: 'DATA', status: 'ACTIVE', direction: isTwoWay ? 'BIDIRECTIONAL' : 'UNIDIRECTIONAL' },
        })),
        nodes,
        { ...of, defaults: input.linkDefaults, firstPlace: 0, path: ['input', 'text'] },
      );
      const stats = await networks.describe({ nodeCount: nodes.length, links: endsOf(nodes, links) }, scope);
      if (!input.allowDisconnected) requireConnected(stats);
      const answer = {
        stats,
        demands: read.demands.map(({ source, target, mbps }) => ({ source: idOf(source), target: idOf(target), mbps })),
        skippedLoops: read.loops,
      };
      if (input.dryRun) return { ...answer, networkId: null, nodeIds: [], demands: [] };
      const name = input.name ?? read.name;
      const nameProblem = name == null ? null : textProblem(name);
      if (nameProblem !== null) throw malformed(`the network's name: ${nameProblem}`);
      if (name === null || name === undefined)
        throw new PlatformError('VALIDATION_FAILED', 'name: expected one, the file has none', {
          path: ['input', 'name'],
        });
      const { text: _text, ...rest } = input;
      const { networkId } = await networks.store(
        scope,
        {
          ...{ contextId: input.contextId, name: name.slice(0, 255), description: null, topologyType: 'OTHER' },
          ...{ layout: 'IMPORTED', config: input.config, provision: input.provision },
          approval: input.approval ?? null,
          ...{ networkId: of.networkId, nodes, links, stats },
        },
        { operation: 'import', input: { ...rest, text: input.text }, idempotencyKey: input.idempotencyKey },
      );
      // A repeat answers the network of the first call, whose nodes have other ids.
      const isRepeat = networkId !== of.networkId;
      return {
        ...answer,
        networkId,
        nodeIds: isRepeat ? [] : read.nodes.map(({ key }, place) => ({ key, nodeId: idOf(place) })),
        demands: isRepeat ? [] : answer.demands,
      };
    },
  };
}
