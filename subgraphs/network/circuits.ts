import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible, unknownNetwork } from './access.ts';
import type { CommandOutcome, Commands } from './commands.ts';
import { afterCalls, type Circuit, closedCircuit, defaultCircuit, stateOf } from './detection/circuit.ts';
import { networkEvent, unknownNode } from './events.ts';
import { Outrun } from './holdings.ts';
import * as inputs from './inputs.ts';
import type { CircuitValue } from './rows.ts';
import { type Db, findNetworks, findNodesById, read } from './store.ts';

interface Place {
  readonly tenantId: string;
  readonly networkId: string;
  readonly nodeId: string;
}

interface CircuitRow extends Circuit {
  readonly now: number;
}

export interface Calls {
  readonly succeeded: number;
  readonly failed: number;
  readonly reason?: string | null | undefined;
}

const ms = (column: string) => `(extract(epoch FROM ${column}) * 1000)::float8`;
const columns = `(SELECT coalesce(array_agg(${ms('at')} ORDER BY at DESC), '{}') FROM unnest(c.failed_at) AS at) AS "failedAt", ${ms('c.opened_at')} AS "openedAt",
  ${ms('c.retry_at')} AS "retryAt", ${ms('c.trial_until')} AS "trialUntil", c.openings, ${ms('clock_timestamp()')} AS now`;

export type Circuits = ReturnType<typeof createCircuits>;

/**
 * A circuit breaker for each node: what failed again and again gets no new connections for a while, nor is it found by
 * whoever looks for services. What is open stays. The database's clock counts, so that instances agree.
 */
export function createCircuits({ sql, logger }: ModuleRuntime, commands: Commands) {
  /** The circuit of a node, nobody else's until the end of the transaction. */
  async function lockCircuit(tx: SqlTransaction, { tenantId, networkId, nodeId }: Place): Promise<CircuitRow | null> {
    const [row] = await read<CircuitRow>(
      tx,
      `SELECT ${columns} FROM network.circuit c WHERE c.tenant_id = $1 AND c.network_id = $2 AND c.node_id = $3 FOR UPDATE`,
      [tenantId, networkId, nodeId],
    );
    return row ?? null;
  }

  async function save(tx: SqlTransaction, place: Place, circuit: Circuit, reason: string | null): Promise<void> {
    const at = (time: number | null) => (time === null ? null : new Date(time).toISOString());
    await tx.unsafe(
      `UPDATE network.circuit SET failed_at = $4::timestamptz[], opened_at = $5, retry_at = $6, trial_until = $7, openings = $8, reason = $9
       WHERE tenant_id = $1 AND network_id = $2 AND node_id = $3`,
      [
        ...[place.tenantId, place.networkId, place.nodeId, circuit.failedAt.map((time) => at(time)!)],
        ...[at(circuit.openedAt), at(circuit.retryAt), at(circuit.trialUntil), circuit.openings, reason],
      ] as never[],
      { prepare: true },
    );
  }

  /** What calls mean for a node's circuit; told only where it opens or closes. */
  async function note(tx: SqlTransaction, place: Place, calls: Calls): Promise<CommandOutcome<null>> {
    if (calls.failed > calls.succeeded)
      await tx.unsafe(
        'INSERT INTO network.circuit (tenant_id, network_id, node_id, failed_at) VALUES ($1, $2, $3, $4::timestamptz[]) ON CONFLICT DO NOTHING',
        [place.tenantId, place.networkId, place.nodeId, []],
        { prepare: true },
      );
    const before = await lockCircuit(tx, place);
    const [network] = await findNetworks(tx, place.tenantId, [place.networkId]);
    if (before === null || !network) return { response: null };
    const config = network.config.circuit ?? defaultCircuit;
    const after = afterCalls(before, calls, before.now, config);
    if (after === before) return { response: null };
    await save(tx, place, after, after.failedAt.length === 0 ? null : (calls.reason ?? null));
    const states = [stateOf(before, before.now), stateOf(after, before.now)].map((state) => state.toUpperCase());
    const isOpened = after.openedAt !== null && after.openedAt !== before.openedAt;
    const isClosed = after.openedAt === null && before.openedAt !== null;
    if (!isOpened && !isClosed) return { response: null };
    const detail = {
      ...{ nodeId: place.nodeId, circuit: states, failures: after.failedAt.length, reason: calls.reason ?? null },
      retryAt: after.retryAt === null ? null : new Date(after.retryAt).toISOString(),
    };
    return {
      response: null,
      events: [networkEvent(isOpened ? 'node.circuit.opened' : 'node.circuit.closed', network, detail)],
      audit: [
        {
          action: isOpened ? 'network.circuit.open' : 'network.circuit.close',
          ...{ resource: 'Network', resourceId: place.networkId, detail },
        },
      ],
    };
  }

  /** @throws {NOT_FOUND} {NETWORK_NOT_ACTIVE} */
  async function requireNodeOf(scope: RequestScope, networkId: string, nodeId: string): Promise<Place> {
    if (!isId(networkId)) throw unknownNetwork();
    await requireVisible(sql, scope.principal, networkId);
    const { tenantId } = scope.principal;
    const [node] = isId(nodeId) ? await findNodesById(sql, tenantId, [{ networkId, id: nodeId }]) : [];
    if (!node || node.status === 'retired') throw unknownNode();
    return { tenantId, networkId, nodeId: node.id };
  }

  return {
    /** How calls of a node went, by whoever made them. @throws {NOT_FOUND} {VALIDATION_FAILED} */
    async report(scope: RequestScope, raw: unknown): Promise<{ readonly networkId: string; readonly nodeId: string }> {
      const { idempotencyKey, ...input } = parseInput(inputs.nodeCalls, raw);
      if (input.succeeded + input.failed === 0)
        throw new PlatformError('VALIDATION_FAILED', 'expected calls that succeeded or failed', { path: ['failed'] });
      const place = await requireNodeOf(scope, input.networkId, input.nodeId);
      return commands.run(scope, { operation: 'reportNodeCalls', input, idempotencyKey }, async (tx) => ({
        ...(await note(tx, place, input)),
        response: { networkId: place.networkId, nodeId: place.nodeId },
      }));
    },

    /** Closes a circuit, whatever it was. @throws {NOT_FOUND} */
    async reset(
      scope: RequestScope,
      {
        networkId,
        nodeId,
        idempotencyKey,
      }: { networkId: string; nodeId: string; idempotencyKey?: string | null | undefined },
    ): Promise<{ readonly networkId: string; readonly nodeId: string }> {
      const place = await requireNodeOf(scope, networkId, nodeId);
      const call = { operation: 'resetNodeCircuit', input: { networkId, nodeId }, idempotencyKey };
      return commands.run(scope, call, async (tx) => {
        const response = { networkId, nodeId: place.nodeId };
        const before = await lockCircuit(tx, place);
        const [network] = await findNetworks(tx, place.tenantId, [networkId]);
        if (before === null || !network) return { response };
        await save(tx, place, closedCircuit, null);
        const detail = { nodeId: place.nodeId, circuit: [stateOf(before, before.now).toUpperCase(), 'CLOSED'] };
        return {
          response,
          events:
            before.openedAt === null ? [] : [networkEvent('node.circuit.closed', network, { ...detail, reset: true })],
          audit: [{ action: 'network.circuit.reset', resource: 'Network', resourceId: networkId, detail }],
        };
      });
    },

    /** What the platform itself has seen of a node; the failure of this is no failure of what saw it. */
    async observe(place: Place, calls: Calls): Promise<void> {
      try {
        await commands.runAs(place.tenantId, 'system', (tx) => note(tx, place, calls));
      } catch (error) {
        logger.warn({ ...place, error: String(error) }, 'what was seen of a node could not be counted for its circuit');
      }
    },
  };
}

/**
 * Lets a connection through to nodes that nothing else is let through to at the moment.
 * @throws {Outrun} where another was faster.
 */
export async function claimTrials(
  tx: SqlTransaction,
  { tenantId, networkId }: Pick<Place, 'tenantId' | 'networkId'>,
  nodeIds: readonly string[],
  openMs: number,
): Promise<void> {
  if (nodeIds.length === 0) return;
  const claimed = await read(
    tx,
    `WITH free AS (SELECT node_id FROM network.circuit WHERE tenant_id = $1 AND network_id = $2 AND node_id = ANY($3::uuid[]) ORDER BY node_id FOR UPDATE)
     UPDATE network.circuit c SET trial_until = clock_timestamp() + $4::int * interval '1 millisecond'
     FROM free WHERE c.tenant_id = $1 AND c.network_id = $2 AND c.node_id = free.node_id
       AND c.opened_at IS NOT NULL AND c.retry_at <= clock_timestamp() AND c.trial_until IS NULL RETURNING c.node_id`,
    [tenantId, networkId, nodeIds, openMs],
  );
  if (claimed.length !== nodeIds.length) throw new Outrun();
}

/** Nodes whose circuits are not closed: who is to be moved is no trial for those that one may be let through to. */
export async function findOpenCircuits(
  db: Db,
  { tenantId, id }: { readonly tenantId: string; readonly id: string },
): Promise<ReadonlySet<string>> {
  const rows = await read<{ readonly nodeId: string }>(
    db,
    `SELECT node_id AS "nodeId" FROM network.circuit WHERE tenant_id = $1 AND network_id = $2 AND opened_at IS NOT NULL
       AND (trial_until IS NULL OR trial_until > clock_timestamp()) ORDER BY node_id`,
    [tenantId, id],
  );
  return new Set(rows.map(({ nodeId }) => nodeId));
}

/** Of a node that has not failed. */
export const noCircuit: CircuitValue = {
  ...{ state: 'CLOSED', failures: 0, openings: 0, reason: null, openedAt: null, retryAt: null },
};
