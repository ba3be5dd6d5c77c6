import { dateTime, identifier } from './common.ts';
import { closed, flag, freeForm, list, number, open, optional, type Shape, text, whole, word } from './shape.ts';

const uuid = text({ format: 'uuid', title: 'a UUID' });
const count = whole(0);

const sampleMeta = {
  source_flow_id: optional(text()),
  // The frozen schema asks for UUIDs here, yet both published samples carry plain tags: tags pass.
  source_event_ids: optional(list(text())),
  project_id: optional(uuid),
  human_feedback_label: optional(word('approved', 'rejected', 'not_reviewed')),
  quality_score: optional(number(0, 1)),
};

const sampleHead = { sample_id: uuid, created_at: dateTime };

function only<const W extends string>(value: W): Shape<W> {
  return { schema: { type: 'string', const: value } };
}

const coreSampleShape = open({
  ...sampleHead,
  sample_family: text(),
  input: freeForm,
  state: optional(freeForm),
  output: freeForm,
  meta: optional(open(sampleMeta)),
});

const intentSampleShape = open({
  ...sampleHead,
  sample_family: only('intent_resolution'),
  input: open({
    intent_id: text(),
    raw_request_summary: text(),
    constraints_summary: optional(text()),
    dialog_turns_count: optional(count),
  }),
  state: optional(
    open({ project_phase: optional(text()), psg_node_count: optional(count), existing_plan_count: optional(count) }),
  ),
  output: open({
    final_intent_summary: text(),
    plan_id: optional(uuid),
    plan_step_count: optional(count),
    resolution_quality_label: optional(word('good', 'acceptable', 'bad', 'unknown')),
  }),
  meta: optional(
    open({ ...sampleMeta, clarification_rounds: optional(count), ambiguity_flags: optional(list(text())) }),
  ),
});

const deltaSampleShape = open({
  ...sampleHead,
  sample_family: only('delta_impact'),
  input: open({
    delta_id: text(),
    intent_id: text(),
    delta_type: optional(word('refinement', 'correction', 'expansion', 'reduction', 'pivot')),
    change_summary: text(),
  }),
  state: optional(
    open({
      affected_artifact_count: optional(count),
      risk_level: optional(word('low', 'medium', 'high', 'critical')),
      psg_complexity_score: optional(number(0)),
    }),
  ),
  output: open({
    actual_impact_summary: text(),
    impact_scope: word('local', 'module', 'system', 'global'),
    comp_plan_required: optional(flag),
    comp_plan_applied: optional(flag),
    rollback_used: optional(flag),
  }),
  meta: optional(
    open({
      ...sampleMeta,
      impact_analysis_duration_ms: optional(count),
      predicted_vs_actual_accuracy: optional(word('accurate', 'underestimated', 'overestimated')),
    }),
  ),
});

const runSampleShape = closed({
  sample_id: identifier,
  project_id: text(),
  intent_before: optional(freeForm),
  plan: optional(freeForm),
  delta_intents: optional(list(freeForm)),
  graph_before: optional(freeForm),
  graph_after: optional(freeForm),
  pipeline_path: optional(list(text())),
  success_flag: flag,
  error_info: optional(
    closed({ error_code: optional(text()), error_message: optional(text()), stack_trace: optional(text()) }),
  ),
  token_usage: optional(
    closed({
      total_tokens: optional(number(0)),
      prompt_tokens: optional(number(0)),
      completion_tokens: optional(number(0)),
      by_agent: optional(list(closed({ agent_id: text(), role: optional(text()), tokens: number(0) }))),
    }),
  ),
  execution_time_ms: optional(number(0)),
  impact_score: optional(number(0, 1)),
  user_feedback: optional(
    closed({
      decision: optional(word('approve', 'reject', 'override', 'unknown')),
      comment: optional(text()),
      rating: optional(number(0, 5)),
    }),
  ),
  governance_decisions: optional(list(freeForm)),
  timestamps: closed({ started_at: dateTime, completed_at: optional(dateTime) }),
  metadata: optional(freeForm),
  vendor_extensions: optional(freeForm),
});

/** The kinds of learning sample; validated, never stored. */
export const learningShapes = {
  core: coreSampleShape,
  intent: intentSampleShape,
  delta: deltaSampleShape,
  run: runSampleShape,
} as const;

export type LearningKind = keyof typeof learningShapes;

/** Which kind a sample claims to be. */
export function learningKindOf(sample: unknown): LearningKind {
  const fields: { sample_family?: unknown } = typeof sample === 'object' && sample !== null ? sample : {};
  if (fields.sample_family === 'intent_resolution') return 'intent';
  if (fields.sample_family === 'delta_impact') return 'delta';
  return 'success_flag' in fields ? 'run' : 'core';
}
