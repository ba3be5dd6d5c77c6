import { EvaluationError } from '#shared/conditions/evaluationError.ts';
import type { Predicate } from '#shared/conditions/expression/compile.ts';
import { matchesType } from '#shared/events.ts';
import { compileCondition, fillTemplate, type Scope, UnresolvedReference } from '../workflow/references.ts';

/** What a rule does: an operation of the graph. */
export interface RuleAction {
  readonly module: string;
  readonly action: string;
  readonly input: Readonly<Record<string, unknown>>;
}

export interface Rule {
  readonly id: string;
  readonly name: string;
  readonly trigger: string;
  readonly condition: string | null;
  readonly actions: readonly RuleAction[];
  readonly rank: number;
}

/** What is known when a decision is made; the same snapshot always decides alike. */
export interface Snapshot {
  readonly event: { readonly type: string; readonly data: Readonly<Record<string, unknown>> };
  readonly contextId: string | null;
  /** Modules that are switched off, or do not answer. */
  readonly unavailable: ReadonlyMap<string, string>;
  /** Whether the event's object is locked by governance. */
  readonly locked: boolean;
}

export interface ChosenAction extends RuleAction {
  readonly order: number;
  readonly ruleId: string;
  readonly ruleName: string;
}

export interface NotChosen {
  readonly ruleId: string;
  readonly ruleName: string;
  readonly action: string | null;
  readonly reason: string;
}

export interface Verdict {
  readonly actions: readonly ChosenAction[];
  readonly deferred: readonly NotChosen[];
  readonly rejected: readonly NotChosen[];
}

const compiled = new WeakMap<Rule, Predicate<Scope>>();

function holds(rule: Rule, scope: Scope): boolean {
  if (rule.condition === null) return true;
  const condition = compiled.get(rule) ?? compileCondition(rule.condition);
  compiled.set(rule, condition);
  return condition(scope);
}

/** Goes through the rules by rank: each says what follows, or why nothing does. */
export function decideActions(rules: readonly Rule[], snapshot: Snapshot): Verdict {
  const actions: ChosenAction[] = [];
  const deferred: NotChosen[] = [];
  const rejected: NotChosen[] = [];
  const taken = new Set<string>();
  const scope: Scope = {
    input: { type: snapshot.event.type, ...snapshot.event.data },
    outputs: new Map(),
    execution: { id: '', contextId: snapshot.contextId, workflowId: '' },
  };
  const inOrder = rules.toSorted((one, two) => one.rank - two.rank || (one.id < two.id ? -1 : 1));
  for (const rule of inOrder) {
    const by = { ruleId: rule.id, ruleName: rule.name };
    if (!matchesType([rule.trigger], snapshot.event.type)) continue;
    try {
      if (!holds(rule, scope)) {
        rejected.push({ ...by, action: null, reason: 'its condition is false' });
        continue;
      }
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      rejected.push({ ...by, action: null, reason: `its condition cannot be decided: ${error.message}` });
      continue;
    }
    for (const action of rule.actions) {
      const name = `${action.module}.${action.action}`;
      const not = (reason: string): NotChosen => ({ ...by, action: name, reason });
      const why = snapshot.unavailable.get(action.module);
      if (snapshot.locked) deferred.push(not('the object is locked by governance'));
      else if (why !== undefined) deferred.push(not(why));
      else {
        try {
          const input = fillTemplate(action.input, scope) as Readonly<Record<string, unknown>>;
          const identity = JSON.stringify([name, input]);
          if (taken.has(identity)) rejected.push(not('a rule before it does the same'));
          else {
            taken.add(identity);
            actions.push({ ...by, order: actions.length + 1, module: action.module, action: action.action, input });
          }
        } catch (error) {
          if (!(error instanceof UnresolvedReference)) throw error;
          rejected.push(not(error.message));
        }
      }
    }
  }
  return { actions, deferred, rejected };
}
