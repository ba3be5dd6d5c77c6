import { baseEvent, dateTime } from './common.ts';
import { closed, type DocumentOf, freeForm, list, open, optional, type Shape, text, whole, word } from './shape.ts';

/** Ids of stream events are UUIDs of any version and case, unlike those of the objects. */
const uuid = text({ format: 'uuid', title: 'a UUID' });

export const eventFamilies = [
  'import_process',
  'intent',
  'delta_intent',
  'impact_analysis',
  'compensation_plan',
  'methodology',
  'reasoning_graph',
  'pipeline_stage',
  'graph_update',
  'runtime_execution',
  'cost_budget',
  'external_integration',
] as const;

export type EventFamily = (typeof eventFamilies)[number];

const envelope = {
  event_id: uuid,
  event_type: text(),
  timestamp: dateTime,
  project_id: optional(uuid),
  payload: optional(freeForm),
};

/** A family fixed to one word; the enumeration stays so that a wrong word is reported as both. */
function onlyFamily<const F extends EventFamily>(family: F): Shape<F> {
  return { schema: { type: 'string', enum: eventFamilies, const: family } };
}

export const coreEventShape = open({ ...envelope, event_family: word(...eventFamilies) });

export const graphUpdateEventShape = open({
  ...envelope,
  event_family: onlyFamily('graph_update'),
  graph_id: uuid,
  update_kind: word('node_add', 'node_update', 'node_delete', 'edge_add', 'edge_update', 'edge_delete', 'bulk'),
  node_delta: whole(),
  edge_delta: whole(),
  source_module: optional(text()),
});

export const pipelineStageEventShape = open({
  ...envelope,
  event_family: onlyFamily('pipeline_stage'),
  pipeline_id: uuid,
  stage_id: text(),
  stage_name: optional(text()),
  stage_status: word('pending', 'running', 'completed', 'failed', 'skipped'),
  stage_order: optional(whole(0)),
});

export const runtimeExecutionEventShape = open({
  ...envelope,
  event_family: onlyFamily('runtime_execution'),
  execution_id: uuid,
  executor_kind: word('agent', 'tool', 'llm', 'worker', 'external'),
  executor_role: optional(text()),
  status: word('pending', 'running', 'completed', 'failed', 'cancelled'),
});

export const singleAgentEventShape = closed({
  event_id: uuid,
  event_type: word(
    'SAInitialized',
    'SAContextLoaded',
    'SAPlanEvaluated',
    'SAStepStarted',
    'SAStepCompleted',
    'SAStepFailed',
    'SATraceEmitted',
    'SACompleted',
  ),
  timestamp: dateTime,
  sa_id: uuid,
  context_id: optional(uuid),
  plan_id: optional(uuid),
  trace_id: optional(uuid),
  payload: optional(freeForm),
});

export const multiAgentEventShape = closed({
  event_id: uuid,
  event_type: word(
    'MAPSessionStarted',
    'MAPRolesAssigned',
    'MAPTurnDispatched',
    'MAPTurnCompleted',
    'MAPBroadcastSent',
    'MAPBroadcastReceived',
    'MAPConflictDetected',
    'MAPConflictResolved',
    'MAPSessionCompleted',
  ),
  timestamp: dateTime,
  session_id: uuid,
  initiator_role: optional(text()),
  target_roles: optional(list(text())),
  payload: optional(freeForm),
});

/** Every envelope an event of a stream may have. */
export const eventShapes = {
  core: coreEventShape,
  graph_update: graphUpdateEventShape,
  pipeline_stage: pipelineStageEventShape,
  runtime_execution: runtimeExecutionEventShape,
  single_agent: singleAgentEventShape,
  multi_agent: multiAgentEventShape,
  base: baseEvent,
} as const;

export type EventEnvelope = keyof typeof eventShapes;

/** Which envelope an event claims to be: by family first, then by its SA or MAP type, then by its source. */
export function envelopeOf(event: unknown): EventEnvelope {
  const fields: { event_family?: unknown; event_type?: unknown; source?: unknown } =
    typeof event === 'object' && event !== null ? event : {};
  const family = fields.event_family;
  if (family === 'graph_update' || family === 'pipeline_stage' || family === 'runtime_execution') return family;
  if (family !== undefined) return 'core';
  const type = typeof fields.event_type === 'string' ? fields.event_type : '';
  if (/^SA[A-Z]/.test(type)) return 'single_agent';
  if (/^MAP[A-Z]/.test(type)) return 'multi_agent';
  return typeof fields.source === 'string' ? 'base' : 'core';
}

export type CoreEventDocument = DocumentOf<typeof coreEventShape>;
export type GraphUpdateEventDocument = DocumentOf<typeof graphUpdateEventShape>;
export type PipelineStageEventDocument = DocumentOf<typeof pipelineStageEventShape>;
export type RuntimeExecutionEventDocument = DocumentOf<typeof runtimeExecutionEventShape>;
export type SingleAgentEventDocument = DocumentOf<typeof singleAgentEventShape>;
export type MultiAgentEventDocument = DocumentOf<typeof multiAgentEventShape>;
export type StreamEventDocument =
  | CoreEventDocument
  | GraphUpdateEventDocument
  | PipelineStageEventDocument
  | RuntimeExecutionEventDocument
  | SingleAgentEventDocument
  | MultiAgentEventDocument;
