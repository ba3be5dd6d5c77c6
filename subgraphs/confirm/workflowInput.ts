import { PlatformError } from '#shared/errors.ts';
import { globalTimeoutMs, type WorkflowInput } from './inputs.ts';
import type { ConfirmLimits } from './limits.ts';
import type { Criterion, QuorumKind, QuorumRule } from './quorum/index.ts';
import {
  type ApproverSpec,
  compileWorkflow,
  type StepDefinition,
  type WorkflowDefinition,
  WorkflowError,
  type WorkflowType,
} from './workflow/index.ts';

type ApproverInput = NonNullable<WorkflowInput['steps'][number]['approvers']>[number];
type QuorumInput = NonNullable<WorkflowInput['steps'][number]['quorum']>;
type CriterionInput = NonNullable<QuorumInput['criteria']>[number];

/** Types in which a step waits for the one before it where it names no dependencies. */
const inOrder: ReadonlySet<string> = new Set(['sequential', 'hierarchical', 'escalation', 'single_approver']);

const quorumOf: Partial<Record<WorkflowType, QuorumKind>> = {
  consensus: 'consensus',
  majority_vote: 'majority',
  unanimous: 'unanimous',
  weighted_vote: 'weighted',
};

/** Drops what was left open, so that what is stored says what was said. */
function given<T extends object>(value: T): { [Key in keyof T]?: NonNullable<T[Key]> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== null && entry !== undefined)) as {
    [Key in keyof T]?: NonNullable<T[Key]>;
  };
}

export function toApprovers(approvers: readonly ApproverInput[] | null | undefined): readonly ApproverSpec[] {
  return (approvers ?? []).map(({ subject, role, permission, weight, required }) => ({
    ...given({ subject, role, permission }),
    weight: weight ?? 1,
    required: required ?? false,
  }));
}

export function toQuorum(quorum: QuorumInput | null | undefined, kind: QuorumKind): QuorumRule {
  if (!quorum) return { kind };
  const { criteria, ...rest } = quorum;
  const rule = { ...given(rest), kind: quorum.kind };
  return criteria == null || criteria.length === 0 ? rule : { ...rule, criteria: criteria.map(toCriterion) };
}

function toCriterion(input: CriterionInput, index: number): Criterion {
  return {
    id: input.id ?? `criterion-${index + 1}`,
    name: input.name,
    weight: input.weight,
    required: input.required ?? false,
    ...given({ minimum: input.minimum }),
  };
}

/**
 * The definition that an input stands for, complete.
 * @throws {INVALID_WORKFLOW} when it could never run to its end. @throws {VALIDATION_FAILED} beyond the limits.
 */
export function toDefinition(
  input: WorkflowInput,
  path: readonly (string | number)[],
  limits: Pick<ConfirmLimits, 'maxDelegations'>,
): WorkflowDefinition {
  const type = input.type as WorkflowType;
  const ids = input.steps.map(({ id }, index) => id ?? `step-${index + 1}`);
  const steps = input.steps.map((step, index): StepDefinition => {
    const before = inOrder.has(type) && index > 0 ? [ids[index - 1]!] : [];
    return {
      id: ids[index]!,
      name: step.name ?? ids[index]!,
      kind: (step.kind ?? 'human_approval') as StepDefinition['kind'],
      dependsOn: step.dependsOn ?? before,
      join: (step.join ?? 'all') as StepDefinition['join'],
      ...given({ condition: step.condition, skipCondition: step.skipCondition, check: step.check }),
      approvers: toApprovers(step.approvers),
      ...(step.fallbackApprovers ? { fallbackApprovers: toApprovers(step.fallbackApprovers) } : {}),
      ...given({ capabilities: step.capabilities, selection: step.approverSelection }),
      quorum: toQuorum(step.quorum, quorumOf[type] ?? 'single'),
      ...(step.timeout ? { timeout: step.timeout } : {}),
      escalation: (step.escalation ?? []).map(({ role, subject, timeoutHours, notificationDelayMinutes }) => ({
        ...given({ role, subject }),
        timeoutMs: Math.round(timeoutHours * 3_600_000),
        ...(notificationDelayMinutes ? { notificationDelayMs: Math.round(notificationDelayMinutes * 60_000) } : {}),
      })),
      delegationAllowed: step.delegationAllowed ?? true,
      maxDelegations: depthOf(step.maxDelegations, limits, [...path, 'steps', index, 'maxDelegations']),
      onRejection: (step.onRejection ?? 'reject') as StepDefinition['onRejection'],
      minimumRationale: step.minimumRationale ?? 0,
    };
  });
  const definition: WorkflowDefinition = { type, steps, globalTimeoutMs: input.globalTimeoutMs ?? globalTimeoutMs };
  requireWorkflow(definition, path);
  return definition;
}

function depthOf(
  depth: number | null | undefined,
  { maxDelegations }: Pick<ConfirmLimits, 'maxDelegations'>,
  path: readonly (string | number)[],
): number {
  if (depth == null || depth <= maxDelegations) return depth ?? maxDelegations;
  throw new PlatformError('VALIDATION_FAILED', `maxDelegations: expected at most ${maxDelegations}, got ${depth}`, {
    path,
  });
}

export function requireWorkflow(definition: WorkflowDefinition, path: readonly (string | number)[]): void {
  try {
    compileWorkflow(definition);
  } catch (error) {
    if (!(error instanceof WorkflowError)) throw error;
    throw new PlatformError('INVALID_WORKFLOW', error.message, {
      path,
      details: { fault: error.fault, steps: error.steps },
    });
  }
}

/** The one step of a request that names its approvers and nothing else. */
export function singleStep(options: {
  readonly approvers: readonly ApproverSpec[];
  readonly quorum: QuorumRule;
  readonly timeout?: StepDefinition['timeout'];
  readonly globalTimeoutMs?: number;
  readonly minimumRationale?: number;
  readonly maxDelegations?: number;
  /** @default true */
  readonly delegationAllowed?: boolean;
}): WorkflowDefinition {
  return {
    type: 'single_approver',
    globalTimeoutMs: options.globalTimeoutMs ?? globalTimeoutMs,
    steps: [
      {
        id: 'approval',
        name: 'Approval',
        kind: 'human_approval',
        dependsOn: [],
        join: 'all',
        approvers: options.approvers,
        quorum: options.quorum,
        ...(options.timeout ? { timeout: options.timeout } : {}),
        escalation: [],
        delegationAllowed: options.delegationAllowed ?? true,
        ...given({ maxDelegations: options.maxDelegations }),
        onRejection: 'reject',
        minimumRationale: options.minimumRationale ?? 0,
      },
    ],
  };
}
