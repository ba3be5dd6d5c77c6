import { Ajv, type ValidateFunction } from 'ajv';
import formats from 'ajv-formats';
import type { ProtocolModule } from './common.ts';
import { type Evidence, type Invariant, type InvariantRule, type InvariantSet, invariants } from './invariants.ts';
import { property, valuesAt } from './references.ts';
import { sessionsWithoutReceipt, turnsWithoutCompletion } from './sessions.ts';
import { type ProtocolViolation, shown } from './violation.ts';

export interface BundleObject {
  module: ProtocolModule;
  object: unknown;
}

/** A broken invariant; `path` points into the object or event of the given index. */
export interface InvariantViolation extends ProtocolViolation {
  keyword: 'invariant';
  invariant: string;
  /** Index into the objects, null when an event is meant. */
  objectIndex: number | null;
  /** Index into the events, null when an object is meant. */
  eventIndex: number | null;
}

export interface InvariantOptions {
  /** Which sets to judge. @default all */
  profile?: readonly InvariantSet[];
  /** `import` judges rules of execution time where the bundle shows execution; `execution` judges them always. @default 'import' */
  moment?: 'import' | 'execution';
}

interface Bundle {
  objects: readonly BundleObject[];
  events: readonly unknown[];
  /** All values of one property of one module's objects, for bindings. */
  valuesOf: (module: ProtocolModule, at: string) => Set<unknown>;
  /** The statuses of the plans and traces bound to a context. */
  runsOf: (contextId: unknown) => ReadonlySet<unknown>;
}

/** No bundle is answered with more broken invariants than this. */
const maxBroken = 1_000;

const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

let dateTimeJudge: ValidateFunction | undefined;

function isDateTime(value: unknown): boolean {
  if (!dateTimeJudge) {
    const ajv = new Ajv();
    formats.default(ajv);
    dateTimeJudge = ajv.compile({ type: 'string', format: 'date-time' });
  }
  return dateTimeJudge(value);
}

/**
 * The invariants that a set of objects, each valid alone, breaks together. A reference to something of a module that
 * the bundle does not hold at all may dangle; where it holds some, the reference must be one of them.
 */
export function checkInvariants(
  objects: readonly BundleObject[],
  events: readonly unknown[] = [],
  options: InvariantOptions = {},
): InvariantViolation[] {
  const bundle = bundleOf(objects, events);
  const violations: InvariantViolation[] = [];
  for (const invariant of invariants) {
    if (invariant.timing === 'advisory' || (options.profile && !options.profile.includes(invariant.set))) continue;
    const found =
      invariant.scope === 'event' ? judgeEvents(invariant, bundle, options) : judgeObjects(invariant, bundle, options);
    for (const violation of found) {
      if (violations.length === maxBroken) return violations;
      violations.push(violation);
    }
  }
  return violations;
}

function judgeObjects(invariant: Invariant, bundle: Bundle, options: InvariantOptions): InvariantViolation[] {
  return bundle.objects.flatMap(({ module, object }, index) =>
    module === invariant.scope
      ? judgeOne(invariant, object, bundle, options).map((fault) => ({
          ...fault,
          keyword: 'invariant' as const,
          invariant: invariant.id,
          objectIndex: index,
          eventIndex: null,
        }))
      : [],
  );
}

function bundleOf(objects: readonly BundleObject[], events: readonly unknown[]): Bundle {
  const known = new Map<string, Set<unknown>>();
  let runs: Map<unknown, Set<unknown>> | undefined;
  return {
    objects,
    events,
    runsOf(contextId) {
      runs ??= runsByContext(objects);
      return runs.get(contextId) ?? new Set();
    },
    valuesOf(module, at) {
      const key = `${module}/${at}`;
      let values = known.get(key);
      if (!values) {
        values = new Set(
          objects
            .filter((entry) => entry.module === module)
            .flatMap((entry) => valuesAt(entry.object, at).map((place) => place.value))
            .filter((value) => value !== undefined),
        );
        known.set(key, values);
      }
      return values;
    },
  };
}

function judgeOne(
  invariant: Invariant,
  object: unknown,
  bundle: Bundle,
  options: InvariantOptions,
): { path: string; message: string }[] {
  if (invariant.only && property(object, invariant.only.property) !== invariant.only.value) return [];
  if (!applies(invariant.timing, object, bundle, options)) return [];
  const absentBreaks =
    invariant.absent === 'breaks' ||
    (invariant.absent !== undefined && applies(invariant.absent, object, bundle, { ...options, moment: 'import' }));
  const faults: { path: string; message: string }[] = [];
  for (const { path, value } of valuesAt(object, invariant.at)) {
    if (value === undefined && !absentBreaks) continue;
    const expected = unmet(invariant.rule, value, invariant.scope, object, bundle);
    if (expected !== null) faults.push({ path, message: `expected ${expected}, got ${shown(value)}` });
  }
  return faults;
}

/** What the rule expects of a value that does not meet it; null when it does. */
function unmet(
  rule: InvariantRule,
  value: unknown,
  scope: Invariant['scope'],
  own: unknown,
  bundle: Bundle,
): string | null {
  switch (rule.kind) {
    case 'uuid4':
      return typeof value === 'string' && uuid4.test(value) ? null : 'a UUID v4';
    case 'notBlank':
      return typeof value === 'string' && value.trim() !== '' ? null : 'text that is not blank';
    case 'present':
      return value !== undefined && value !== null ? null : 'a value';
    case 'textOrAbsent':
      return value === undefined || typeof value === 'string' ? null : 'text';
    case 'dateTime':
      return isDateTime(value) ? null : 'an RFC 3339 date-time';
    case 'atLeast':
      return (Array.isArray(value) || typeof value === 'string') && value.length >= rule.items
        ? null
        : `a length of at least ${rule.items}`;
    case 'oneOf':
      return typeof value === 'string' && rule.words.includes(value) ? null : `one of ${rule.words.join(', ')}`;
    case 'sameAs': {
      const allowed = rule.module === scope ? new Set([property(own, rule.at)]) : bundle.valuesOf(rule.module, rule.at);
      if (allowed.size === 0 || allowed.has(undefined) || allowed.has(value)) return null;
      const [first] = allowed;
      const others = allowed.size > 1 ? ` or one of ${allowed.size - 1} more` : '';
      return `the ${rule.at} of a ${rule.module} in the bundle (${shown(first)}${others})`;
    }
    case 'turnsComplete':
    case 'broadcastsReceived':
      return null;
  }
}

function applies(timing: Invariant['timing'], object: unknown, bundle: Bundle, options: InvariantOptions): boolean {
  if (timing === 'import') return true;
  if (timing === 'advisory') return false;
  if (options.moment === 'execution') return true;
  return shows(timing, object, bundle);
}

function shows(evidence: Evidence, object: unknown, bundle: Bundle): boolean {
  const status = property(object, 'status');
  switch (evidence) {
    case 'runCompleted':
      return status === 'completed';
    case 'sessionBegun':
      return status === 'active' || status === 'suspended' || status === 'completed';
    case 'sessionEnded':
      return true;
    case 'contextInUse': {
      const runs = bundle.runsOf(property(object, 'context_id'));
      if (runs.has('in_progress') || runs.has('running')) return true;
      return status === 'draft' && (runs.has('completed') || runs.has('failed'));
    }
  }
}

function runsByContext(objects: readonly BundleObject[]): Map<unknown, Set<unknown>> {
  const runs = new Map<unknown, Set<unknown>>();
  for (const { module, object } of objects) {
    if (module !== 'plan' && module !== 'trace') continue;
    const context = property(object, 'context_id');
    const statuses = runs.get(context) ?? new Set();
    runs.set(context, statuses.add(property(object, 'status')));
  }
  return runs;
}

function judgeEvents(invariant: Invariant, bundle: Bundle, options: InvariantOptions): InvariantViolation[] {
  const found = (eventIndex: number, path: string, message: string): InvariantViolation => ({
    path,
    keyword: 'invariant',
    message,
    invariant: invariant.id,
    objectIndex: null,
    eventIndex,
  });
  const { kind } = invariant.rule;
  if (kind === 'turnsComplete' || kind === 'broadcastsReceived') {
    const ended = options.moment === 'execution' ? null : endedSessions(bundle);
    const open =
      kind === 'turnsComplete' ? turnsWithoutCompletion(bundle.events) : sessionsWithoutReceipt(bundle.events);
    const expected = kind === 'turnsComplete' ? 'a completion of this turn' : 'a receipt of this broadcast';
    return open
      .filter(({ session }) => ended === null || ended.has(session))
      .map(({ index, session }) => found(index, '/', `expected ${expected} in session ${session}, got none`));
  }
  return bundle.events.flatMap((event, index) =>
    judgeOne(invariant, event, bundle, options).map((fault) => found(index, fault.path, fault.message)),
  );
}

function endedSessions(bundle: Bundle): Set<unknown> {
  const ended = new Set<unknown>();
  for (const { module, object } of bundle.objects) {
    if (module === 'collab' && property(object, 'status') === 'completed') ended.add(property(object, 'collab_id'));
  }
  for (const event of bundle.events) {
    const type = property(event, 'event_type');
    if (type === 'MAPSessionCompleted') ended.add(property(event, 'session_id'));
    if (type === 'session_completed') ended.add(property(event, 'execution_id'));
  }
  return ended;
}
