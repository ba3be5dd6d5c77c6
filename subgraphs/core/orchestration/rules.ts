import { EvaluationError } from '#shared/conditions/evaluationError.ts';
import type { Predicate } from '#shared/conditions/expression/compile.ts';
import { matchesType } from '#shared/events.ts';
import { dimensions, fits, subtract, toAmounts, toVector, unlimited, type Vector } from '../allocation/vector.ts';
import { compileCondition, fillTemplate, type Scope, UnresolvedReference } from '../workflow/references.ts';
import { idsIn, plansIn } from './namedIds.ts';

/** What a rule does: an operation of the graph. */
export interface RuleAction {
  readonly module: string;
  readonly action: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** Resources it is going to take; it waits where the owner's quota does not leave them. */
  readonly requires?: Readonly<Partial<Record<(typeof dimensions)[number], number | null | undefined>>> | null;
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
  /** Modules that are switched off, or do not answer, and operations that are left alone, as `module.operation`. */
  readonly unavailable: ReadonlyMap<string, string>;
  /** Whether the event's object is locked by governance. */
  readonly locked: boolean;
  /** Confirms that are open, by what they are about. @default none */
  readonly pending?: ReadonlyMap<string, string>;
  /** What the owner's quota leaves. @default no limit */
  readonly quota?: { readonly owner: string; readonly left: Vector };
  /** Rules that have led to the event: none of them follows from itself. @default none */
  readonly chain?: readonly string[];
  /** How late plans may still be, ms. @default nothing is known */
  readonly slackMs?: ReadonlyMap<string, number>;
}

export interface ChosenAction extends Omit<RuleAction, 'requires'> {
  readonly order: number;
  readonly ruleId: string;
  readonly ruleName: string;
  /** Of the most urgent plan it names, ms; null where none is known. */
  readonly slackMs: number | null;
}

export interface NotChosen {
  readonly ruleId: string;
  readonly ruleName: string;
  readonly action: string | null;
  readonly reason: string;
  /** Confirm that it waits for. */
  readonly confirmId: string | null;
}

export interface Verdict {
  readonly actions: readonly ChosenAction[];
  readonly deferred: readonly NotChosen[];
  readonly rejected: readonly NotChosen[];
}

/** An action that nothing stands in the way of but the quota. */
interface Candidate {
  readonly by: { readonly ruleId: string; readonly ruleName: string };
  readonly rank: number;
  readonly name: string;
  readonly action: RuleAction;
  readonly input: Readonly<Record<string, unknown>>;
  readonly slackMs: number | null;
}

const compiled = new WeakMap<Rule, Predicate<Scope>>();

function holds(rule: Rule, scope: Scope): boolean {
  if (rule.condition === null) return true;
  const condition = compiled.get(rule) ?? compileCondition(rule.condition);
  compiled.set(rule, condition);
  return condition(scope);
}

/**
 * Goes through the rules by rank: each says what follows, or why nothing does. Of one rank the action whose plan has the
 * least slack goes first (least slack time scheduling), and has the quota first.
 */
export function decideActions(rules: readonly Rule[], snapshot: Snapshot): Verdict {
  const candidates: Candidate[] = [];
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
    if (snapshot.chain?.includes(rule.id)) {
      rejected.push({ ...by, action: null, reason: 'RULE_CYCLE: it has led to this event itself', confirmId: null });
      continue;
    }
    try {
      if (!holds(rule, scope)) {
        rejected.push({ ...by, action: null, reason: 'its condition is false', confirmId: null });
        continue;
      }
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      const reason = `its condition cannot be decided: ${error.message}`;
      rejected.push({ ...by, action: null, reason, confirmId: null });
      continue;
    }
    for (const action of rule.actions) {
      const name = `${action.module}.${action.action}`;
      const not = (reason: string, confirmId: string | null = null): NotChosen => ({
        ...by,
        action: name,
        reason,
        confirmId,
      });
      const why = snapshot.unavailable.get(action.module) ?? snapshot.unavailable.get(name);
      if (snapshot.locked) deferred.push(not('the object is locked by governance'));
      else if (why !== undefined) deferred.push(not(why));
      else {
        try {
          const input = fillTemplate(action.input, scope) as Readonly<Record<string, unknown>>;
          const identity = JSON.stringify([name, input]);
          const target = findGated(action, input, snapshot);
          if (taken.has(identity)) rejected.push(not('a rule before it does the same'));
          else {
            taken.add(identity);
            if (target === null)
              candidates.push({ by, rank: rule.rank, name, action, input, slackMs: slackOf(input, snapshot) });
            else {
              const confirmId = snapshot.pending!.get(target)!;
              deferred.push(not(`the Confirm ${confirmId} about ${target} is not decided`, confirmId));
            }
          }
        } catch (error) {
          if (!(error instanceof UnresolvedReference)) throw error;
          rejected.push(not(error.message));
        }
      }
    }
  }
  const actions: ChosenAction[] = [];
  let left = snapshot.quota?.left ?? unlimited;
  for (const { by, name, action, input, slackMs } of candidates.toSorted(byUrgency)) {
    const needed = toVector(action.requires);
    if (fits(needed, left)) {
      left = subtract(left, needed);
      const order = actions.length + 1;
      actions.push({ ...by, order, module: action.module, action: action.action, input, slackMs });
    } else {
      const reason = shortage(snapshot.quota!.owner, needed, left);
      deferred.push({ ...by, action: name, reason, confirmId: null });
    }
  }
  return { actions, deferred, rejected };
}

/** By rank, then by slack; what has none known goes last, in the order of the rules. */
function byUrgency(one: Candidate, other: Candidate): number {
  if (one.rank !== other.rank) return one.rank - other.rank;
  const [a, b] = [one.slackMs ?? Number.POSITIVE_INFINITY, other.slackMs ?? Number.POSITIVE_INFINITY];
  return a === b ? 0 : a - b;
}

function slackOf(input: unknown, { slackMs }: Snapshot): number | null {
  const known = plansIn(input).flatMap((id) => slackMs?.get(id) ?? []);
  return known.length === 0 ? null : Math.min(...known);
}

/** What a call is about and an open Confirm too; what concerns the Confirm itself may go on. */
function findGated({ module }: RuleAction, input: unknown, { pending }: Snapshot): string | null {
  if (pending === undefined || module === 'confirm') return null;
  return idsIn(input).find((id) => pending.has(id)) ?? null;
}

function shortage(owner: string, needed: Vector, left: Vector): string {
  const [wanted, free] = [toAmounts(needed), toAmounts(left)];
  const short = dimensions.filter((name) => wanted[name] > free[name]);
  return `the quota of ${owner} leaves ${short.map((name) => `${free[name]} ${name} where ${wanted[name]} are needed`).join(', ')}`;
}
