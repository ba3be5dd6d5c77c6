import { type ApprovalAnswer, answerTypes, readAnswer } from '#shared/askedConfirm.ts';
import { type Consumer, createConsumer } from '#shared/consumer.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { judgeMoves, makeMoves } from '../applyRoutes.ts';
import type { Commands } from '../commands.ts';
import { networkEvent, runEvent } from '../events.ts';
import { touch } from '../networkChanges.ts';
import { retire } from '../retirement.ts';
import type { NetworkOptimizationRow, NetworkRow } from '../rows.ts';
import { requireMove } from '../states.ts';
import { findRun, lockNetwork, saveNetwork, saveRun } from '../store.ts';
import type { Topologies } from '../topologies.ts';
import { referenceKind } from './asking.ts';
import type { NetworkPendingChange } from './rows.ts';

interface Settled {
  readonly row: NetworkRow;
  readonly type: string;
  readonly run: NetworkOptimizationRow | null;
  readonly events: readonly NewEvent[];
}

interface Waiting {
  readonly network: NetworkRow;
  readonly pending: NetworkPendingChange;
  readonly actor: string;
}

/** What becomes of changes of networks that people were asked about. A repeat changes nothing: then nothing waits any more. */
export function createConfirms(
  runtime: ModuleRuntime,
  { commands, topologies }: { readonly commands: Commands; readonly topologies: Topologies },
) {
  const ofRun = async (tx: SqlTransaction, { tenantId }: NetworkRow, { run }: NetworkPendingChange) =>
    run === null ? null : findRun(tx, tenantId, run.id);

  async function refuse(
    tx: SqlTransaction,
    { network, pending, actor }: Waiting,
    reason: string,
    known?: NetworkOptimizationRow,
  ): Promise<Settled> {
    const run = known ?? (await ofRun(tx, network, pending));
    return {
      row: touch(network, actor, { pending: null, refusal: reason }),
      type: 'network.change.refused',
      run: run && { ...run, state: 'refused', refusal: reason },
      events: [],
    };
  }

  /** @throws {PlatformError} before anything is stored, where it cannot be done any more. */
  async function make(tx: SqlTransaction, waiting: Waiting, confirmId: string): Promise<Settled> {
    const { network, pending, actor } = waiting;
    const { protocol } = network;
    const governance = protocol?.['governance'] as Readonly<Record<string, unknown>> | undefined;
    // A lock that has come since is taken away by an override alone.
    if (governance?.['locked'] === true)
      throw new PlatformError('GOVERNANCE_LOCKED', 'the network is locked by governance', { path: ['networkId'] });
    const lastConfirmRef = { id: confirmId, module: 'confirm' };
    const approved = { ...network, protocol: { ...protocol, governance: { ...governance, lastConfirmRef } } };
    if (pending.kind === 'retire') {
      requireMove(network, 'retire');
      const { row, events } = await retire(tx, approved, { actor, reason: pending.reason });
      return { row, events, type: 'network.status.changed', run: null };
    }
    const run = await ofRun(tx, network, pending);
    if (run === null || pending.run === null)
      throw new PlatformError('NOT_FOUND', 'the run is gone', { path: ['networkId'] });
    const { goals } = pending.run;
    const judged = await judgeMoves(tx, network, { run, goals, limits: pending.run, topologies });
    const { result } = judged;
    if (judged.refusal !== null) return refuse(tx, waiting, judged.refusal, { ...run, result });
    const events = await makeMoves(tx, network, judged);
    return {
      row: touch(approved, actor, { pending: null, refusal: null }),
      type: 'network.change.made',
      run: { ...run, result, state: 'applied', appliedAt: new Date().toISOString() },
      events,
    };
  }

  async function settle(tx: SqlTransaction, waiting: Waiting, answer: ApprovalAnswer): Promise<Settled> {
    const { network, pending, actor } = waiting;
    if (answer.kind === 'opened') {
      const row = touch(network, actor, { pending: { ...pending, confirmId: answer.confirmId } });
      return { row, type: 'network.change.opened', run: null, events: [] };
    }
    if (answer.kind === 'refused') return refuse(tx, waiting, answer.reason);
    try {
      return await make(tx, waiting, answer.confirmId);
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      return refuse(tx, waiting, error.message);
    }
  }

  async function heard(event: EventRow): Promise<void> {
    const answered = readAnswer(event, referenceKind);
    const { networkId, changeId } = answered?.reference ?? {};
    if (answered === null || !isId(networkId)) return;
    const { tenantId, actor } = event;
    await commands.runAs(tenantId, actor, async (tx) => {
      const network = await lockNetwork(tx, tenantId, networkId);
      if (!network?.pending || network.pending.id !== changeId) return { response: null };
      const { pending } = network;
      const { row, type, run, events } = await settle(tx, { network, pending, actor }, answered.answer);
      await saveNetwork(tx, row);
      if (run !== null) await saveRun(tx, run);
      return {
        response: null,
        events: [
          networkEvent(type, row, { status: [network.status, row.status], change: row.pending ?? pending }),
          ...(run === null ? [] : [runEvent(run, row.contextId)]),
          ...events,
        ],
        audit: [
          {
            action: `network.change.${answered.answer.kind}`,
            resource: 'Network',
            resourceId: networkId,
            detail: { kind: pending.kind },
          },
        ],
      };
    });
    topologies.forgetReserved(tenantId, networkId);
  }

  return {
    follow: (): Promise<Consumer> =>
      createConsumer({
        name: 'network.confirms',
        module: 'confirm',
        types: answerTypes,
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('confirm'),
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events) {
          for (const event of events) await heard(event);
        },
      }),
  };
}
