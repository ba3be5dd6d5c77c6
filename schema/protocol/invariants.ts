import type { ProtocolModule } from './common.ts';
import { type EventFamily, eventFamilies } from './events.ts';

/** Where the frozen data states a rule; `flow` rules are stated for one recorded flow and hold for every bundle here. */
export type InvariantSet = 'golden' | 'sa' | 'map' | 'obs' | 'flow';

/** What must be true of the value a rule looks at. */
export type InvariantRule =
  | { kind: 'uuid4' | 'notBlank' | 'present' | 'dateTime' | 'textOrAbsent' }
  | { kind: 'atLeast'; items: number }
  | { kind: 'oneOf'; words: readonly string[] }
  | { kind: 'sameAs'; module: ProtocolModule; at: string }
  | { kind: 'turnsComplete' | 'broadcastsReceived' };

/**
 * What in the bundle shows that a rule of execution time already applies to an object:
 * - `contextInUse`: a plan in progress or a running trace is bound to it, or it is a draft and one of them has ended;
 * - `runCompleted`: the trace is completed;
 * - `sessionBegun`: the collab is active, suspended or completed;
 * - `sessionEnded`: the collab of the session is completed or its closing event is there.
 */
export type Evidence = 'contextInUse' | 'runCompleted' | 'sessionBegun' | 'sessionEnded';

/** One rule between or within the objects of a bundle, restated from the frozen data. */
export interface Invariant {
  id: string;
  set: InvariantSet;
  scope: ProtocolModule | 'event';
  /** Property names with `/` between them, `*` for every item of a list; empty for the whole. */
  at: string;
  rule: InvariantRule;
  /** `import`: a bundle that breaks it is refused. `execution`: only with the evidence. `advisory`: never judged. */
  timing: 'import' | Evidence | 'advisory';
  /** Whether an absent value breaks the rule too: always, or with the evidence. @default never */
  absent?: 'breaks' | Evidence;
  /** Only objects whose property has this value are meant. */
  only?: { property: string; value: string };
  /** Why the rule has its timing, where that is not plain: the schema states it as well, or objects contradict. */
  reason: string;
}

const bySchema = 'The schema of the object says the same; it stands here so that a bundle names the invariant too.';
const binding = 'Objects that are valid alone but bound to different things are what a bundle is checked for.';
const content = 'The schema lets blank or missing text pass; a bundle is a finished record and must not.';
const fixture = 'Stated for the recorded flows; it contradicts nothing that the schema lets a bundle say.';
const envelope = 'Stream events are exported beside the objects; their schema lets any version of UUID pass.';

const uuid4 = { kind: 'uuid4' } as const;
const notBlank = { kind: 'notBlank' } as const;
const dateTime = { kind: 'dateTime' } as const;

function family(value: EventFamily): { property: string; value: string } {
  return { property: 'event_family', value };
}

const golden: readonly Invariant[] = (
  [
    { id: 'context_id_must_be_uuid', scope: 'context', at: 'context_id', rule: uuid4, reason: bySchema },
    {
      id: 'protocol_version_must_be_1_0',
      scope: 'context',
      at: 'meta/protocol_version',
      rule: { kind: 'oneOf', words: ['1.0.0'] },
      reason: fixture,
    },
    {
      id: 'schema_version_must_exist',
      scope: 'context',
      at: 'meta/schema_version',
      rule: { kind: 'present' },
      absent: 'breaks',
      reason: bySchema,
    },
    { id: 'root_domain_must_be_non_empty', scope: 'context', at: 'root/domain', rule: notBlank, reason: content },
    { id: 'plan_id_must_be_uuid', scope: 'plan', at: 'plan_id', rule: uuid4, reason: bySchema },
    {
      id: 'plan_context_id_match',
      scope: 'plan',
      at: 'context_id',
      rule: { kind: 'sameAs', module: 'context', at: 'context_id' },
      reason: binding,
    },
    { id: 'step_ids_must_be_uuid', scope: 'plan', at: 'steps/*/step_id', rule: uuid4, reason: bySchema },
    {
      id: 'step_descriptions_must_be_non_empty',
      scope: 'plan',
      at: 'steps/*/description',
      rule: notBlank,
      reason: content,
    },
    { id: 'confirm_id_must_be_uuid', scope: 'confirm', at: 'confirm_id', rule: uuid4, reason: bySchema },
    {
      id: 'confirm_target_match',
      scope: 'confirm',
      at: 'target_id',
      rule: { kind: 'sameAs', module: 'plan', at: 'plan_id' },
      only: { property: 'target_type', value: 'plan' },
      reason: `${binding} Confirms of other targets are not meant.`,
    },
    {
      id: 'status_must_be_valid_enum',
      scope: 'confirm',
      at: 'status',
      rule: { kind: 'oneOf', words: ['approved', 'rejected'] },
      timing: 'advisory',
      reason: 'A rule of one fixture: the schema also knows pending and cancelled.',
    },
    {
      id: 'rejected_must_have_reason',
      scope: 'confirm',
      at: 'reason',
      rule: notBlank,
      absent: 'breaks',
      only: { property: 'status', value: 'rejected' },
      reason: content,
    },
    { id: 'trace_id_must_be_uuid', scope: 'trace', at: 'trace_id', rule: uuid4, reason: bySchema },
    {
      id: 'root_span_trace_id_match',
      scope: 'trace',
      at: 'root_span/trace_id',
      rule: { kind: 'sameAs', module: 'trace', at: 'trace_id' },
      reason: `${binding} The trace itself is meant, not any trace of the bundle.`,
    },
    {
      id: 'root_span_context_id_match',
      scope: 'trace',
      at: 'root_span/context_id',
      rule: { kind: 'sameAs', module: 'context', at: 'context_id' },
      reason: binding,
    },
    { id: 'events_timestamp_iso', scope: 'trace', at: 'events/*/timestamp', rule: dateTime, reason: bySchema },
  ] as const
).map((row) => ({ timing: 'import', ...row, set: 'golden' }));

const singleAgent: readonly Invariant[] = (
  [
    { id: 'sa_requires_context', scope: 'context', at: 'context_id', rule: uuid4, reason: bySchema },
    {
      id: 'sa_context_must_be_active',
      scope: 'context',
      at: 'status',
      rule: { kind: 'oneOf', words: ['active'] },
      timing: 'contextInUse',
      reason:
        'Holds while an agent executes: a draft with a drafted plan, or a closed context whose plan ended, is fine.',
    },
    {
      id: 'sa_plan_context_binding',
      scope: 'plan',
      at: 'context_id',
      rule: { kind: 'sameAs', module: 'context', at: 'context_id' },
      reason: binding,
    },
    {
      id: 'sa_plan_has_steps',
      scope: 'plan',
      at: 'steps',
      rule: { kind: 'atLeast', items: 1 },
      absent: 'breaks',
      reason: bySchema,
    },
    { id: 'sa_steps_have_valid_ids', scope: 'plan', at: 'steps/*/step_id', rule: uuid4, reason: bySchema },
    { id: 'sa_steps_agent_role_if_present', scope: 'plan', at: 'steps/*/agent_role', rule: notBlank, reason: content },
    {
      id: 'sa_trace_not_empty',
      scope: 'trace',
      at: 'events',
      rule: { kind: 'atLeast', items: 1 },
      absent: 'breaks',
      timing: 'runCompleted',
      reason: 'Holds before completion: a pending or running trace may have no event yet.',
    },
    {
      id: 'sa_trace_context_binding',
      scope: 'trace',
      at: 'context_id',
      rule: { kind: 'sameAs', module: 'context', at: 'context_id' },
      reason: binding,
    },
    {
      id: 'sa_trace_plan_binding',
      scope: 'trace',
      at: 'plan_id',
      rule: { kind: 'sameAs', module: 'plan', at: 'plan_id' },
      reason: binding,
    },
  ] as const
).map((row) => ({ timing: 'import', ...row, set: 'sa' }));

const multiAgent: readonly Invariant[] = (
  [
    {
      id: 'map_session_requires_participants',
      scope: 'collab',
      at: 'participants',
      rule: { kind: 'atLeast', items: 1 },
      absent: 'breaks',
      reason: bySchema,
    },
    {
      id: 'map_collab_mode_valid',
      scope: 'collab',
      at: 'mode',
      rule: { kind: 'oneOf', words: ['broadcast', 'round_robin', 'orchestrated', 'swarm', 'pair'] },
      reason: bySchema,
    },
    { id: 'map_session_id_is_uuid', scope: 'collab', at: 'collab_id', rule: uuid4, reason: bySchema },
    {
      id: 'map_participants_have_role_ids',
      scope: 'collab',
      at: 'participants/*/role_id',
      rule: notBlank,
      absent: 'sessionBegun',
      reason: 'A blank role is refused at once; a missing one only when the session has begun, a draft may lack it.',
    },
    {
      id: 'map_turn_completion_matches_dispatch',
      scope: 'event',
      at: '',
      rule: { kind: 'turnsComplete' },
      timing: 'sessionEnded',
      reason: 'Holds at the end of a session: a turn under way has no completion yet.',
    },
    {
      id: 'map_broadcast_has_receivers',
      scope: 'event',
      at: '',
      rule: { kind: 'broadcastsReceived' },
      timing: 'sessionEnded',
      reason: 'Holds at the end of a session: a broadcast under way has no receipt yet.',
    },
    {
      id: 'map_role_ids_non_empty',
      scope: 'collab',
      at: 'participants/*/role_id',
      rule: { kind: 'textOrAbsent' },
      reason: bySchema,
    },
    {
      id: 'map_participant_ids_are_non_empty',
      scope: 'collab',
      at: 'participants/*/participant_id',
      rule: notBlank,
      reason: content,
    },
    {
      id: 'map_participant_kind_valid',
      scope: 'collab',
      at: 'participants/*/kind',
      rule: { kind: 'oneOf', words: ['agent', 'human', 'system', 'external'] },
      reason: bySchema,
    },
  ] as const
).map((row) => ({ timing: 'import', ...row, set: 'map' }));

const observability: readonly Invariant[] = (
  [
    { id: 'obs_event_id_is_uuid', at: 'event_id', rule: uuid4 },
    { id: 'obs_event_type_non_empty', at: 'event_type', rule: notBlank },
    { id: 'obs_event_family_valid', at: 'event_family', rule: { kind: 'oneOf', words: eventFamilies } },
    { id: 'obs_timestamp_iso_format', at: 'timestamp', rule: dateTime },
    {
      id: 'obs_pipeline_event_has_pipeline_id',
      at: 'pipeline_id',
      rule: uuid4,
      absent: 'breaks',
      only: family('pipeline_stage'),
    },
    {
      id: 'obs_pipeline_stage_id_non_empty',
      at: 'stage_id',
      rule: notBlank,
      absent: 'breaks',
      only: family('pipeline_stage'),
    },
    {
      id: 'obs_pipeline_stage_status_valid',
      at: 'stage_status',
      rule: { kind: 'oneOf', words: ['pending', 'running', 'completed', 'failed', 'skipped'] },
      absent: 'breaks',
      only: family('pipeline_stage'),
    },
    {
      id: 'obs_graph_event_has_graph_id',
      at: 'graph_id',
      rule: uuid4,
      absent: 'breaks',
      only: family('graph_update'),
    },
    {
      id: 'obs_graph_update_kind_valid',
      at: 'update_kind',
      rule: {
        kind: 'oneOf',
        words: ['node_add', 'node_update', 'node_delete', 'edge_add', 'edge_update', 'edge_delete', 'bulk'],
      },
      absent: 'breaks',
      only: family('graph_update'),
    },
    {
      id: 'obs_runtime_event_has_execution_id',
      at: 'execution_id',
      rule: uuid4,
      absent: 'breaks',
      only: family('runtime_execution'),
    },
    {
      id: 'obs_runtime_executor_kind_valid',
      at: 'executor_kind',
      rule: { kind: 'oneOf', words: ['agent', 'tool', 'llm', 'worker', 'external'] },
      absent: 'breaks',
      only: family('runtime_execution'),
    },
    {
      id: 'obs_runtime_status_valid',
      at: 'status',
      rule: { kind: 'oneOf', words: ['pending', 'running', 'completed', 'failed', 'cancelled'] },
      absent: 'breaks',
      only: family('runtime_execution'),
    },
  ] as const
).map((row) => ({ ...row, set: 'obs', scope: 'event', timing: 'import', reason: envelope }));

const flows: readonly Invariant[] = [
  {
    id: 'map01_collab_context_binding',
    set: 'flow',
    scope: 'collab',
    at: 'context_id',
    rule: { kind: 'sameAs', module: 'context', at: 'context_id' },
    timing: 'import',
    reason: `${binding} Stated for one flow only, and true of every session.`,
  },
];

/** Every invariant of the frozen data that speaks of the ten objects and their events, with when it is judged. */
export const invariants: readonly Invariant[] = [...golden, ...singleAgent, ...multiAgent, ...observability, ...flows];
