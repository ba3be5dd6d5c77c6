import { baseEvents, identifier, meta, named, span } from './common.ts';
import { closed, type DocumentOf, list, optional, text, whole, word } from './shape.ts';

export const planStepShape = closed({
  step_id: identifier,
  description: named,
  status: word('pending', 'in_progress', 'completed', 'blocked', 'skipped', 'failed'),
  dependencies: optional(list(identifier)),
  agent_role: optional(text()),
  order_index: optional(whole(0)),
});

/** The only object without governance; its times stand in meta alone. */
export const planShape = closed({
  meta,
  plan_id: identifier,
  context_id: identifier,
  title: named,
  objective: named,
  status: word('draft', 'proposed', 'approved', 'in_progress', 'completed', 'cancelled', 'failed'),
  steps: list(planStepShape, { min: 1 }),
  trace: optional(span),
  events: optional(baseEvents),
});

export type PlanStepDocument = DocumentOf<typeof planStepShape>;
export type PlanDocument = DocumentOf<typeof planShape>;
