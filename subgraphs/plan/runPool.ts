import { PlatformError } from '#shared/errors.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { type AgentRequirement, canDo, type StaffedAgent } from './dispatch/index.ts';
import type { PlanExecutionRow } from './rows.ts';

/** How long a step is kept for those of the pool who have less to do than who asked for it, ms. */
export const offerMs = 1_000;

/** Who works on the run; null where anybody may. */
export async function findPool(
  tx: SqlTransaction,
  { tenantId, id }: Pick<PlanExecutionRow, 'tenantId' | 'id'>,
): Promise<readonly StaffedAgent[] | null> {
  const [row] = (await tx.unsafe(
    'SELECT e.pool FROM plan.execution e WHERE e.tenant_id = $1 AND e.id = $2',
    [tenantId, id],
    {
      prepare: true,
    },
  )) as unknown as { readonly pool: readonly StaffedAgent[] | null }[];
  return row?.pool ?? null;
}

/** What members of the pool hold of the run. */
export type Loads = ReadonlyMap<string, number>;

export function countLoads(held: readonly { readonly leaseOwner: string | null }[]): Loads {
  const loads = new Map<string, number>();
  for (const { leaseOwner } of held) if (leaseOwner !== null) loads.set(leaseOwner, (loads.get(leaseOwner) ?? 0) + 1);
  return loads;
}

/** @throws {AGENT_NOT_IN_POOL} */
export function requireMember(
  pool: readonly StaffedAgent[],
  agentId: string,
  path: readonly string[] = ['agentId'],
): StaffedAgent {
  const member = pool.find((agent) => agent.agentId === agentId);
  if (member) return member;
  throw new PlatformError('AGENT_NOT_IN_POOL', `the run is for the agents of its pool, ${agentId} is none of them`, {
    path,
    details: { agentId },
  });
}

/** Whether a member can take one more step at this moment, ms from the start. @throws {AGENT_UNAVAILABLE} {AGENT_AT_CAPACITY} */
export function requireFree({ agentId, capacity, ...member }: StaffedAgent, loads: Loads, sinceStart: number): void {
  const { availableFrom = 0, availableUntil = Infinity } = member;
  const path = ['agentId'];
  if (sinceStart < availableFrom)
    throw new PlatformError('AGENT_UNAVAILABLE', `${agentId} comes ${availableFrom} ms after the start of the run`, {
      ...{ path, details: { agentId, availableFromMs: availableFrom } },
      retryAfterMs: Math.ceil(availableFrom - sinceStart),
    });
  if (sinceStart >= availableUntil)
    throw new PlatformError(
      'AGENT_UNAVAILABLE',
      `${agentId} was there until ${availableUntil} ms after the start of the run`,
      {
        ...{ path, details: { agentId, availableUntilMs: availableUntil } },
      },
    );
  const running = loads.get(agentId) ?? 0;
  if (running >= capacity)
    throw new PlatformError('AGENT_AT_CAPACITY', `${agentId} holds ${running} steps, its capacity is ${capacity}`, {
      ...{ path, details: { agentId, running, capacity } },
    });
}

/** Whether another of the pool could begin the step now and has less to do, each by its capacity. */
export function isForAnother(
  step: AgentRequirement & { readonly durationMs: number },
  member: StaffedAgent,
  {
    pool,
    loads,
    sinceStart,
  }: { readonly pool: readonly StaffedAgent[]; readonly loads: Loads; readonly sinceStart: number },
): boolean {
  const loadOf = ({ agentId, capacity }: StaffedAgent) => (loads.get(agentId) ?? 0) / capacity;
  const own = loadOf(member);
  return pool.some((other) => {
    const { availableFrom = 0, availableUntil = Infinity } = other;
    const isThere = availableFrom <= sinceStart && sinceStart + step.durationMs <= availableUntil;
    return isThere && other.capacity > 0 && loadOf(other) < own && canDo(step, other);
  });
}

/** Notes since when steps are kept for others, where nobody has yet. */
export async function noteOffers(tx: SqlTransaction, run: PlanExecutionRow, stepIds: readonly string[]): Promise<void> {
  if (stepIds.length === 0) return;
  await tx.unsafe(
    `UPDATE plan.step_execution SET offered_at = clock_timestamp() WHERE tenant_id = $1 AND execution_id = $2 AND step_id = ANY($3::uuid[]) AND offered_at IS NULL`,
    [run.tenantId, run.id, stepIds as string[]],
    { prepare: true },
  );
}
