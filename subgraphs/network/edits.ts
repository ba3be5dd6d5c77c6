import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { Commands } from './commands.ts';
import { networkEvent } from './events.ts';
import { maxLinks, maxNodes } from './inputs.ts';
import { requireNetwork, touch, type WriteOptions } from './networkChanges.ts';
import { type Describe, endsOf } from './networks.ts';
import type { RepairReport } from './repair.ts';
import type { NetworkRow } from './rows.ts';
import { findLinks, findNodes, lockNetwork, saveNetwork } from './store.ts';
import { type Settled, type Structure, settleStructure } from './structure.ts';

export interface EditOptions extends WriteOptions {
  readonly operation: string;
  readonly input: unknown;
}

export interface Edit<Response> {
  readonly nodes?: Structure['nodes'];
  readonly links?: Structure['links'];
  /** What happened, beside the network's own event. */
  readonly type: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly response: Response;
}

export interface Edited {
  readonly networkId: string;
  readonly report: RepairReport;
}

export type Edits = ReturnType<typeof createEdits>;

/** Changes of nodes and links under the network's lock, with what they mean for connections. */
export function createEdits(commands: Commands, describe: Describe) {
  /** Writes what is decided about the structure as it stands. */
  async function settle(
    tx: SqlTransaction,
    network: NetworkRow,
    actor: string,
    decide: (before: Structure, network: NetworkRow) => Edit<unknown> | null,
  ): Promise<{ readonly edit: Edit<unknown>; readonly settled: Settled; readonly events: NewEvent[] } | null> {
    const [nodes, links] = await Promise.all([
      findNodes(tx, network.tenantId, [network.id]),
      findLinks(tx, network.tenantId, [network.id]),
    ]);
    const before: Structure = { nodes, links };
    const edit = decide(before, network);
    if (edit === null) return null;
    const after: Structure = { nodes: edit.nodes ?? nodes, links: edit.links ?? links };
    requireWithinLimits(after);
    const settled = await settleStructure(tx, { network, before, after, now: new Date().toISOString() });
    const isSameShape = after.nodes.length === nodes.length && after.links.length === links.length;
    const stats = isSameShape
      ? network.stats
      : await describe({ nodeCount: after.nodes.length, links: endsOf(after.nodes, after.links) });
    const row = touch(network, actor, { ...settled.network, stats });
    await saveNetwork(tx, row);
    const delta = {
      nodeDelta: after.nodes.length - nodes.length,
      linkDelta: after.links.length - links.length,
    };
    const events = [networkEvent(edit.type, row, { ...edit.detail, ...delta }), ...settled.events];
    if (row.status !== network.status)
      events.push(networkEvent('network.status.changed', row, { status: [network.status, row.status] }));
    return { edit, settled, events };
  }

  return {
    /** @throws {NOT_FOUND} {VERSION_CONFLICT} {INVALID_STATE} {GOVERNANCE_LOCKED} {LIMIT_EXCEEDED} and what `decide` throws. */
    async edit<Response>(
      scope: RequestScope,
      networkId: string,
      { operation, input, ...options }: EditOptions,
      decide: (before: Structure, network: NetworkRow) => Edit<Response>,
    ): Promise<Edited & { readonly response: Response }> {
      const call = {
        operation,
        input: { networkId, input, expectedVersion: options.expectedVersion ?? null },
        idempotencyKey: options.idempotencyKey,
      };
      return commands.run(scope, call, async (tx) => {
        const network = await requireNetwork(tx, scope, networkId, options.expectedVersion);
        if (network.status === 'retired')
          throw new PlatformError('INVALID_STATE', 'the network is RETIRED', { path: ['networkId'] });
        const done = (await settle(tx, network, scope.principal.subject, decide))!;
        return {
          response: { networkId, report: done.settled.report, response: done.edit.response as Response },
          events: done.events,
          audit: [
            { action: `network.${operation}`, resource: 'Network', resourceId: networkId, detail: done.edit.detail },
          ],
        };
      });
    },

    /** The same for what nobody asked for; `decide` answers null where nothing is to be done any more. */
    async editAs(
      tenantId: string,
      networkId: string,
      decide: (before: Structure, network: NetworkRow, tx: SqlTransaction) => Promise<Edit<null> | null>,
    ): Promise<RepairReport | null> {
      return commands.runAs(tenantId, 'system', async (tx) => {
        const network = await lockNetwork(tx, tenantId, networkId);
        if (!network || network.status === 'retired') return { response: null };
        const [nodes, links] = await Promise.all([
          findNodes(tx, tenantId, [networkId]),
          findLinks(tx, tenantId, [networkId]),
        ]);
        const edit = await decide({ nodes, links }, network, tx);
        if (edit === null) return { response: null };
        const done = await settle(tx, network, 'system', () => edit);
        return { response: done!.settled.report, events: done!.events };
      });
    },
  };
}

/** @throws {LIMIT_EXCEEDED} */
function requireWithinLimits({ nodes, links }: Structure): void {
  if (nodes.length > maxNodes)
    throw new PlatformError('LIMIT_EXCEEDED', `expected at most ${maxNodes} nodes, got ${nodes.length}`);
  if (links.length > maxLinks)
    throw new PlatformError('LIMIT_EXCEEDED', `expected at most ${maxLinks} links, got ${links.length}`);
}
