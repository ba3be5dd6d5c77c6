import { type Consumer, createConsumer } from '#shared/consumer.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { noteApprovals } from './approvals.ts';
import { answerJoinRequests } from './joinConfirms.ts';
import type { Participants } from './participants.ts';

const askText = 'query CitedConfirm($id: ID!) { confirm(id: $id) { id status targetType targetId } }';

interface AskedConfirm {
  readonly confirm: {
    readonly id: string;
    readonly status: string;
    readonly targetType: string;
    readonly targetId: string;
  } | null;
}

type Asking = Pick<ModuleRuntime, 'sql' | 'graph'>;

async function askGraph(graph: ModuleRuntime['graph'], id: string, principal: Principal): Promise<ReplicaEntry | null> {
  const { data, errors } = await graph.execute<AskedConfirm>(askText, { id }, principal);
  if (data?.confirm) {
    const { status, targetType, targetId } = data.confirm;
    return { id, status: status.toLowerCase(), detail: { targetType: targetType.toLowerCase(), targetId } };
  }
  const failure = errors.find(({ code }) => code !== 'NOT_FOUND');
  if (failure?.code === 'PERMISSION_DENIED') throw new PlatformError('PERMISSION_DENIED', failure.message);
  if (failure) throw new PlatformError('UNAVAILABLE', `the Confirm cited could not be asked for: ${failure.message}`);
  return null;
}

const replicaOf = ({ sql, graph }: Asking) =>
  createReplica({ sql, module: 'context', type: 'Confirm', graph, ask: askGraph });

/**
 * Why a Confirm does not open a context's lock, or null when it does: it has to be approved, with that very context as
 * its target.
 */
export async function findCitationFault(
  runtime: Asking,
  principal: Principal,
  { confirmId, contextId }: { readonly confirmId: string; readonly contextId: string },
): Promise<PlatformError | null> {
  try {
    const heard = await replicaOf(runtime).find(principal, confirmId);
    // An approval is final; whatever else was heard may have changed since.
    const confirm =
      heard === null || heard.status === 'approved' ? heard : await askGraph(runtime.graph, confirmId, principal);
    if (confirm === null) return refusal('there is no such Confirm', confirmId);
    if (confirm.status !== 'approved')
      return refusal(`expected an approved Confirm, this one is ${confirm.status.toUpperCase()}`, confirmId);
    const { targetType, targetId } = confirm.detail;
    if (targetType !== 'context' || targetId !== contextId)
      return refusal('the Confirm was given for another object than this context', confirmId);
    return null;
  } catch (error) {
    // Of no concern to a context that is not locked.
    if (error instanceof PlatformError) return error;
    throw error;
  }
}

function refusal(message: string, confirmId: string): PlatformError {
  return new PlatformError('CONFIRM_NOT_APPROVED', message, {
    path: ['override', 'confirmId'],
    details: { confirmId },
  });
}

/** Hears of Confirms whose target is a context, and notes in it what approved it; and of those about who asks to join. */
export function followConfirms(runtime: ModuleRuntime, participants: Pick<Participants, 'decide'>): Promise<Consumer> {
  const sql = runtime.sqlOf('confirm');
  const replica = replicaOf(runtime);
  return createConsumer({
    name: 'context.confirms',
    module: 'confirm',
    types: ['confirm.created', 'confirm.resolved'],
    sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('confirm'),
    bus: runtime.bus,
    logger: runtime.logger,
    async handle(events, tx) {
      // The replica lies in this module's database, which may be another one than the events'.
      await replica.apply(runtime.sql === sql ? tx : runtime.sql, replicaChanges(events, readConfirm));
      await noteApprovals(runtime, events);
      await answerJoinRequests(runtime, participants, events);
    },
  });
}

function readConfirm(event: EventRow): ReplicaEntry | null {
  if (event.type !== 'confirm.created' && event.type !== 'confirm.resolved') return null;
  const confirm = event.data['confirm'] as
    | { id?: unknown; status?: unknown; targetType?: unknown; targetId?: unknown }
    | undefined;
  if (typeof confirm?.id !== 'string' || typeof confirm.status !== 'string' || confirm.targetType !== 'context')
    return null;
  return {
    id: confirm.id,
    status: confirm.status,
    detail: { targetType: confirm.targetType, targetId: confirm.targetId },
  };
}
