import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import { holdsIn } from '#shared/rights.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { requireVersion } from '#shared/validation.ts';
import { requireVisible, unknownNetwork } from './access.ts';
import type { Commands } from './commands.ts';
import { networkEvent } from './events.ts';
import type { NetworkRow } from './rows.ts';
import { lockNetwork, saveNetwork } from './store.ts';

export interface WriteOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

/** The next version of a network. */
export function touch(network: NetworkRow, actor: string, change: Partial<NetworkRow>): NetworkRow {
  return {
    ...network,
    ...change,
    version: network.version + 1,
    updatedAt: new Date().toISOString(),
    updatedBy: actor,
  };
}

/** @throws {GOVERNANCE_LOCKED} where governance has locked the network and the caller may not override it. */
export function requireUnlocked(network: NetworkRow, principal: Principal): void {
  const governance = network.protocol?.['governance'] as { readonly locked?: unknown } | undefined;
  if (governance?.locked !== true || holdsIn(principal, 'governance:override', network.contextId)) return;
  throw new PlatformError('GOVERNANCE_LOCKED', 'the network is locked by governance', { path: ['networkId'] });
}

/** Locks a network against every other change, connections included. @throws {NOT_FOUND} {VERSION_CONFLICT} {GOVERNANCE_LOCKED} */
export async function requireNetwork(
  tx: SqlTransaction,
  scope: RequestScope,
  networkId: string,
  expected?: number | null,
): Promise<NetworkRow> {
  const network = isId(networkId) ? await lockNetwork(tx, scope.principal.tenantId, networkId) : null;
  if (!network) throw unknownNetwork();
  await requireVisible(tx, scope.principal, networkId);
  requireVersion(expected, network.version);
  requireUnlocked(network, scope.principal);
  return network;
}

export interface Decision<Response> {
  readonly row: NetworkRow;
  readonly type: string;
  readonly changes?: Readonly<Record<string, unknown>>;
  readonly events?: readonly NewEvent[];
  /** For the audit, where it is not the operation. */
  readonly action?: string;
  readonly response: Response;
}

export type NetworkChanges = ReturnType<typeof createNetworkChanges>;

export function createNetworkChanges(commands: Commands) {
  /** One change of a network under its lock. */
  function change<Response>(
    scope: RequestScope,
    networkId: string,
    { operation, input, ...options }: WriteOptions & { readonly operation: string; readonly input: unknown },
    decide: (network: NetworkRow, tx: SqlTransaction) => Promise<Decision<Response>>,
  ): Promise<Response> {
    const call = {
      operation,
      input: { networkId, input, expectedVersion: options.expectedVersion ?? null },
      idempotencyKey: options.idempotencyKey,
    };
    return commands.run(scope, call, async (tx) => {
      const network = await requireNetwork(tx, scope, networkId, options.expectedVersion);
      const { row, type, changes = {}, events = [], action, response } = await decide(network, tx);
      await saveNetwork(tx, row);
      return {
        response,
        events: [networkEvent(type, row, { status: [network.status, row.status], ...changes }), ...events],
        audit: [{ action: action ?? `network.${operation}`, resource: 'Network', resourceId: networkId }],
      };
    });
  }

  return { change };
}
