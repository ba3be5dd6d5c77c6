import { EvaluationError } from '#shared/conditions/evaluationError.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { StepError } from '../rows.ts';
import type { StepDefinition } from '../workflow/definition.ts';
import { fillTemplate, UnresolvedReference } from '../workflow/references.ts';
import { changeStep, compiledOf, type Draft, ended, later, mayBegin, note, type StepDraft, scopeOf } from './draft.ts';
import { failStep } from './failure.ts';

type Verdict = 'wait' | 'go' | 'skip' | 'unmet';

/** Whether a step may begin, by how those it depends on have ended. */
function verdictOf(draft: Draft, { dependsOn, join, quorum }: StepDefinition): Verdict {
  const states = dependsOn.map((id) => draft.steps.get(id)!.status);
  const completed = states.filter((status) => status === 'completed').length;
  const open = states.filter((status) => !ended.has(status)).length;
  const skipped = states.filter((status) => status === 'skipped').length;
  if (states.length === 0) return 'go';
  switch (join) {
    case 'all':
      if (open > 0) return 'wait';
      if (completed + skipped < states.length) return 'skip';
      return completed === 0 ? 'skip' : 'go';
    case 'settled':
      return open > 0 ? 'wait' : 'go';
    case 'any':
    case 'quorum': {
      const needed = join === 'any' ? 1 : quorum!;
      if (completed >= needed) return 'go';
      return completed + open < needed ? 'unmet' : 'wait';
    }
  }
}

/** Whether something is no longer held by what it depends on. */
export const hasBeginnable = (draft: Draft): boolean =>
  [...draft.steps.values()].some(
    (step) => step.status === 'pending' && verdictOf(draft, compiledOf(draft, step).definition) !== 'wait',
  );

/** Begins what nothing holds any more; what needs nobody's work happens at once. */
export function beginSteps(draft: Draft): void {
  if (!mayBegin(draft)) return;
  for (let again = true; again && draft.execution.status === 'in_progress' && draft.execution.ending === null; ) {
    again = false;
    for (const id of draft.workflow.topology.order) {
      const step = draft.steps.get(id)!;
      if (step.status !== 'pending' || draft.execution.ending !== null) continue;
      const verdict = verdictOf(draft, compiledOf(draft, step).definition);
      if (verdict === 'wait') continue;
      again = true;
      if (verdict === 'skip') skipStep(draft, step, 'nothing it depends on was completed');
      else if (verdict === 'unmet')
        failStep(
          draft,
          step,
          { code: 'JOIN_UNMET', message: 'too many of the steps it joins have failed' },
          { final: true },
        );
      else begin(draft, step);
    }
  }
}

export function skipStep(draft: Draft, step: StepDraft, reason: string): void {
  changeStep(draft, step, { status: 'skipped', finishedAt: draft.now });
  note(draft, 'step.skipped', step, { reason });
}

export function completeStep(draft: Draft, step: StepDraft, output: unknown): void {
  changeStep(draft, step, {
    status: 'completed',
    outcome: 'completed',
    output: output ?? null,
    error: null,
    leaseOwner: null,
    leaseUntil: null,
    dueAt: null,
    timeoutAt: null,
    waitsFor: null,
    startedAt: step.startedAt ?? draft.now,
    finishedAt: draft.now,
  });
  note(draft, 'step.completed', step, { output: output ?? null });
}

function begin(draft: Draft, step: StepDraft) {
  const { definition, condition, operation } = compiledOf(draft, step);
  const fail = (error: StepError) => failStep(draft, step, error, { final: true });
  try {
    if (condition !== null && !condition(scopeOf(draft))) return skipStep(draft, step, 'its condition is false');
    if (definition.resources != null && draft.execution.principal.mayAllocate !== true)
      return fail({ code: 'PERMISSION_DENIED', message: 'who started the execution may not allocate resources' });
    const scope = scopeOf(draft);
    switch (definition.kind) {
      case 'pass':
        return completeStep(draft, step, fillTemplate(definition.input, scope));
      case 'wait':
        changeStep(draft, step, {
          status: 'waiting',
          readyAt: draft.now,
          startedAt: draft.now,
          dueAt: later(draft.now, definition.waitMs!),
        });
        return note(draft, 'step.waiting', step, { until: step.dueAt });
      case 'signal':
      case 'approval':
        // What it holds meanwhile comes first.
        if (definition.resources != null) return changeStep(draft, step, { status: 'ready', readyAt: draft.now });
        return beginWait(draft, step);
      case 'workflow':
        changeStep(draft, step, { input: fillTemplate(definition.input ?? {}, scope), startedAt: draft.now });
        return startChild(draft, step, {
          workflowId: definition.workflowId!,
          workflowVersion:
            definition.workflowVersion ?? draft.settings.latestVersions.get(definition.workflowId!) ?? null,
          body: [],
        });
      case 'loop':
        changeStep(draft, step, {
          input: fillTemplate(definition.input ?? {}, scope),
          startedAt: draft.now,
          iteration: 0,
        });
        return nextRound(draft, step, null);
      case 'task': {
        if (operation === null)
          return fail({
            code: 'UNKNOWN_OPERATION',
            message: `the graph has no ${definition.call!.module} ${definition.call!.action}`,
          });
        changeStep(draft, step, {
          status: 'ready',
          readyAt: draft.now,
          dueAt: null,
          input: fillTemplate(definition.call!.input, scope),
          // Stored before the call runs: whatever becomes of it, what undoes it is known.
          compensation: definition.compensation === null ? null : partlyFilled(definition.compensation.input, draft),
        });
        return;
      }
      default:
        return definition.kind satisfies never;
    }
  } catch (error) {
    if (error instanceof UnresolvedReference) return fail({ code: 'UNRESOLVED_REF', message: error.message });
    if (error instanceof EvaluationError) return fail({ code: 'CONDITION_FAILED', message: error.message });
    throw error;
  }
}

/** Everything but what the step itself answers, which is filled in when it is undone. */
function partlyFilled(template: unknown, draft: Draft): unknown {
  if (typeof template === 'string' && /\$\{self\./.test(template)) return template;
  if (Array.isArray(template)) return template.map((item) => partlyFilled(item, draft));
  if (typeof template === 'object' && template !== null)
    return Object.fromEntries(Object.entries(template).map(([key, item]) => [key, partlyFilled(item, draft)]));
  return fillTemplate(template, scopeOf(draft));
}

/** From now on a step waits for its signal or its approval. */
export function beginWait(draft: Draft, step: StepDraft): void {
  const { kind, signal, confirmId } = compiledOf(draft, step).definition;
  try {
    waitFor(
      draft,
      step,
      kind === 'signal' ? `signal:${signal!}` : `confirm:${String(fillTemplate(confirmId, scopeOf(draft)))}`,
    );
  } catch (error) {
    if (!(error instanceof UnresolvedReference)) throw error;
    failStep(draft, step, { code: 'UNRESOLVED_REF', message: error.message }, { final: true });
  }
}

function waitFor(draft: Draft, step: StepDraft, waitsFor: string) {
  const at = draft.signals.findIndex(({ name }) => `signal:${name}` === waitsFor);
  changeStep(draft, step, { readyAt: step.readyAt ?? draft.now, startedAt: step.startedAt ?? draft.now });
  if (at >= 0) {
    const [signal] = draft.signals.splice(at, 1);
    draft.taken.push({ id: signal!.id, stepId: step.stepId });
    return completeStep(draft, step, signal!.payload);
  }
  const { timeoutMs, heartbeatMs } = compiledOf(draft, step).definition;
  changeStep(draft, step, {
    ...{ status: 'waiting', waitsFor, timeoutAt: later(draft.now, timeoutMs) },
    leaseUntil: heartbeatMs == null ? null : later(draft.now, heartbeatMs),
  });
  note(draft, 'step.waiting', step, { for: waitsFor });
}

interface ChildTarget {
  readonly workflowId: string;
  readonly workflowVersion: number | null;
  readonly body: readonly string[];
}

function startChild(draft: Draft, step: StepDraft, { workflowId, workflowVersion, body }: ChildTarget) {
  const { execution, settings } = draft;
  if (workflowVersion === null)
    return failStep(draft, step, { code: 'NOT_FOUND', message: `no workflow ${workflowId} to start` }, { final: true });
  if (execution.depth >= settings.maxDepth)
    return failStep(
      draft,
      step,
      { code: 'WORKFLOW_TOO_DEEP', message: `expected executions at most ${settings.maxDepth} deep` },
      { final: true },
    );
  changeStep(draft, step, { attempt: step.attempt + 1 });
  // The same attempt always starts the same child.
  const id = derivedId(
    `core:child:${execution.tenantId}:${execution.id}:${step.stepId}:${step.attempt}:${step.iteration}`,
  );
  changeStep(draft, step, { status: 'waiting', waitsFor: `child:${id}` });
  draft.newChildren.push({ id, stepId: step.stepId, workflowId, workflowVersion, body, input: childInput(step) });
  note(draft, 'step.started', step, { childId: id, iteration: step.iteration });
}

function childInput(step: StepDraft): unknown {
  if (step.iteration === 0) return step.input;
  const own =
    typeof step.input === 'object' && step.input !== null && !Array.isArray(step.input)
      ? step.input
      : { value: step.input };
  return { ...own, iteration: step.iteration, previous: step.output ?? null };
}

/** Another round of a loop, or its end. @param last what the round before came to */
export function nextRound(draft: Draft, step: StepDraft, last: unknown) {
  const { definition, loopWhile } = compiledOf(draft, step);
  const { execution } = draft;
  try {
    const scope = scopeOf(draft, { loop: { iteration: step.iteration, output: last } });
    if (!loopWhile!(scope)) return completeStep(draft, step, { iterations: step.iteration, output: last });
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    return failStep(draft, step, { code: 'CONDITION_FAILED', message: error.message }, { final: true });
  }
  if (step.iteration >= definition.maxIterations)
    return failStep(
      draft,
      step,
      { code: 'LOOP_BOUND', message: `expected at most ${definition.maxIterations} rounds` },
      { final: true },
    );
  changeStep(draft, step, { iteration: step.iteration + 1, output: last ?? null });
  startChild(draft, step, {
    workflowId: execution.workflowId,
    workflowVersion: execution.workflowVersion,
    body: [...execution.body, step.stepId],
  });
}
