export interface DispatchAgent {
  readonly agentId: string;
  readonly capabilities: readonly string[];
  /** Steps it can run at once. */
  readonly capacity: number;
  /** Steps it runs now. */
  readonly running: number;
  readonly roles?: readonly string[] | undefined;
  readonly costRate?: number | undefined;
}

export interface AgentRequirement {
  /** All of them. */
  readonly capabilities: readonly string[];
  /** @default any */
  readonly role?: string | undefined;
  /** One of these. @default any */
  readonly agents?: readonly string[] | undefined;
}

/** Whether an agent could ever do it. */
export const canDo = (
  { role, agents, capabilities }: AgentRequirement,
  agent: Omit<DispatchAgent, 'running'>,
): boolean =>
  (role === undefined || agent.roles?.includes(role) === true) &&
  agents?.includes(agent.agentId) !== false &&
  capabilities.every((capability) => agent.capabilities.includes(capability));

export type AgentMatch =
  | { readonly agentId: string }
  /** None will do, however long one waits; `missing` is what the closest one lacks. */
  | { readonly agentId: null; readonly reason: 'no_capable_agent'; readonly missing: readonly string[] }
  | { readonly agentId: null; readonly reason: 'all_busy' };

/**
 * Of the agents with all required capabilities and a free place the least loaded; among equals the one with the fewest
 * other capabilities, which keeps the versatile free, then the cheapest, then by id.
 */
export function matchAgent(requirement: AgentRequirement, agents: readonly DispatchAgent[]): AgentMatch {
  let best: DispatchAgent | null = null;
  let capable = false;
  let missing: readonly string[] = requirement.capabilities;
  for (const agent of agents) {
    if (requirement.role !== undefined && agent.roles?.includes(requirement.role) !== true) continue;
    if (requirement.agents?.includes(agent.agentId) === false) continue;
    const lacks = requirement.capabilities.filter((capability) => !agent.capabilities.includes(capability));
    if (lacks.length < missing.length) missing = lacks;
    if (lacks.length > 0) continue;
    capable = true;
    if (agent.running < agent.capacity && (best === null || compareAgents(agent, best) < 0)) best = agent;
  }
  if (best !== null) return { agentId: best.agentId };
  return capable ? { agentId: null, reason: 'all_busy' } : { agentId: null, reason: 'no_capable_agent', missing };
}

/** Requirements that no agent can ever meet, by index: the precheck of an execution. */
export function findUnmatched(requirements: readonly AgentRequirement[], agents: readonly DispatchAgent[]): number[] {
  const idle = agents.filter(({ capacity }) => capacity > 0);
  return [...requirements.keys()].filter((at) => {
    const match = matchAgent(requirements[at]!, idle);
    return match.agentId === null && match.reason === 'no_capable_agent';
  });
}

function compareAgents(left: DispatchAgent, right: DispatchAgent): number {
  return (
    left.running / left.capacity - right.running / right.capacity ||
    left.capabilities.length - right.capabilities.length ||
    (left.costRate ?? 0) - (right.costRate ?? 0) ||
    (left.agentId < right.agentId ? -1 : 1)
  );
}
