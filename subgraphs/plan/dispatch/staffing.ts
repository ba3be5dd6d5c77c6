import { type AgentRequirement, type DispatchAgent, matchAgent } from './agentMatch.ts';

/** An agent and when it is there, in the time of the network. */
export interface StaffedAgent extends Omit<DispatchAgent, 'running'> {
  /** @default from the start */
  readonly availableFrom?: number | undefined;
  /** Nothing is begun that would not end by then. @default for good */
  readonly availableUntil?: number | undefined;
}

/** Who does what, while a run is played through. */
export interface Staffing {
  /** Takes an agent for the step, by `matchAgent` among those who are there for all of it; false where none is free. */
  take(node: number, now: number, duration: number): boolean;
  release(node: number): void;
  agentOf(node: number): string | null;
  /** When the next agent comes; null when none does. */
  nextArrival(now: number): number | null;
  /** Steps that can run at once. */
  readonly places: number;
}

/** @param requirements by node; null for what nobody does, such as the ends of composite steps */
export function createStaffing(
  agents: readonly StaffedAgent[],
  requirements: readonly (AgentRequirement | null)[],
): Staffing {
  const running = new Map<string, number>();
  const taken = new Map<number, string>();
  const arrivals = agents.flatMap(({ availableFrom = 0 }) => (availableFrom > 0 ? [availableFrom] : []));
  return {
    take(node, now, duration) {
      const requirement = requirements[node] ?? null;
      if (requirement === null) return true;
      const present = agents
        .filter(
          ({ availableFrom = 0, availableUntil = Infinity }) =>
            availableFrom <= now && now + duration <= availableUntil,
        )
        .map((agent) => ({ ...agent, running: running.get(agent.agentId) ?? 0 }));
      const { agentId } = matchAgent(requirement, present);
      if (agentId === null) return false;
      running.set(agentId, (running.get(agentId) ?? 0) + 1);
      taken.set(node, agentId);
      return true;
    },
    release(node) {
      const agentId = taken.get(node);
      if (agentId !== undefined) running.set(agentId, running.get(agentId)! - 1);
    },
    agentOf: (node) => taken.get(node) ?? null,
    nextArrival(now) {
      const next = arrivals.reduce((first, at) => (at > now && at < first ? at : first), Infinity);
      return next === Infinity ? null : next;
    },
    places: agents.reduce((sum, { capacity }) => sum + capacity, 0),
  };
}
