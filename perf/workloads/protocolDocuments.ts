import type { ProtocolDocuments, ProtocolModule } from '../../schema/protocol/index.ts';
import type { Random } from '../load/random.ts';

const at = '2026-01-01T00:00:00.000Z';

/** One valid document of each module, of the size that agents send: ten steps, messages, spans or nodes. */
export function createProtocolDocuments(random: Random): { [Module in ProtocolModule]: ProtocolDocuments[Module] } {
  const id = (): string => random.uuid();
  const times = <T>(count: number, make: (index: number) => T): T[] =>
    Array.from({ length: count }, (_, index) => make(index));
  const contextId = id();
  const traceId = id();
  const meta = {
    protocol_version: '1.0.0',
    schema_version: '2.0.0',
    created_at: at,
    created_by: 'perf',
    tags: ['load', 'perf'],
  };
  const trace = { trace_id: traceId, span_id: id(), context_id: contextId };
  const events = times(3, (index) => ({
    event_id: id(),
    event_type: 'perf.object.made',
    source: 'perf',
    timestamp: at,
    data: { index },
  }));
  const governance = { lifecyclePhase: 'execution', truthDomain: 'runtime', locked: false };
  const stepIds = times(10, id);
  return {
    context: {
      meta,
      governance,
      context_id: contextId,
      root: { domain: 'research', environment: 'staging', entry_point: 'cli' },
      title: 'Summaries of weekly reports',
      status: 'active',
      tags: ['research', 'weekly'],
      language: 'en',
      constraints: { maxCost: 12.5, regions: ['eu', 'us'] },
      created_at: at,
      trace,
      events,
    },
    plan: {
      meta,
      plan_id: id(),
      context_id: contextId,
      title: 'Write the summary',
      objective: 'One page for each team',
      status: 'approved',
      steps: stepIds.map((stepId, index) => ({
        step_id: stepId,
        description: `Step ${index}: read, note, pass on`,
        status: 'pending' as const,
        dependencies: index === 0 ? [] : [stepIds[index - 1]!],
        agent_role: 'writer',
        order_index: index,
      })),
      trace,
      events,
    },
    role: {
      meta,
      governance,
      role_id: id(),
      name: 'writer',
      capabilities: ['plan:read', 'dialog:write'],
      created_at: at,
      trace,
      events,
    },
    confirm: {
      meta,
      governance,
      confirm_id: id(),
      target_type: 'plan',
      target_id: id(),
      status: 'approved',
      requested_by_role: 'writer',
      requested_at: at,
      decisions: times(3, () => ({
        decision_id: id(),
        status: 'approved' as const,
        decided_by_role: 'lead',
        decided_at: at,
        reason: 'complete',
      })),
      trace,
      events,
    },
    trace: {
      meta,
      governance,
      trace_id: traceId,
      context_id: contextId,
      root_span: trace,
      status: 'completed',
      started_at: at,
      finished_at: at,
      segments: times(10, (index) => ({
        segment_id: id(),
        label: `call ${index}`,
        status: 'completed' as const,
        started_at: at,
        attributes: { tokens: index },
      })),
      events,
    },
    extension: {
      meta,
      governance,
      extension_id: id(),
      context_id: contextId,
      name: 'word-count',
      extension_type: 'capability',
      version: '1.2.3-beta.1+build.5',
      status: 'active',
      config: { limit: 5 },
      trace,
      events,
    },
    dialog: {
      meta,
      governance,
      dialog_id: id(),
      context_id: contextId,
      status: 'active',
      messages: times(10, (index) => ({
        role: 'agent' as const,
        content: `Message ${index} `.repeat(20),
        timestamp: at,
      })),
      started_at: at,
      trace,
      events,
    },
    collab: {
      meta,
      governance,
      collab_id: id(),
      context_id: contextId,
      title: 'Review',
      purpose: 'Find mistakes early',
      mode: 'round_robin',
      status: 'active',
      participants: times(10, (index) => ({
        participant_id: `agent-${index}`,
        kind: 'agent' as const,
        display_name: `Agent ${index}`,
      })),
      created_at: at,
      trace,
      events,
    },
    network: {
      meta,
      governance,
      network_id: id(),
      context_id: contextId,
      name: 'review network',
      topology_type: 'mesh',
      status: 'active',
      nodes: times(10, (index) => ({
        node_id: id(),
        name: `node ${index}`,
        kind: 'agent' as const,
        status: 'active' as const,
      })),
      trace,
      events,
    },
    core: {
      meta,
      governance,
      core_id: id(),
      protocol_version: '1.0.0',
      status: 'active',
      modules: (['context', 'plan', 'dialog'] as const).map((module) => ({
        module_id: module,
        version: '1.0.0',
        status: 'enabled' as const,
        required: true,
      })),
      trace,
      events,
    },
  };
}
