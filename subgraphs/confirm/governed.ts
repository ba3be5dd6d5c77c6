import { PlatformError } from '#shared/errors.ts';
import { approvePlan } from './deciders.ts';
import type { QuorumKind, QuorumRule } from './quorum/index.ts';
import type { ConfirmRow, WorkflowTemplateRow } from './rows.ts';
import type { ApproverSpec, StepDefinition, StepTimeout, WorkflowDefinition } from './workflow/index.ts';
import { singleStep } from './workflowInput.ts';

/** What whoever asks for the approval of a plan may add to the rules: never in their place. */
export interface Proposal {
  readonly approvers: readonly ApproverSpec[];
  readonly quorum: QuorumRule | null;
  readonly timeout: StepTimeout | null;
}

export const noProposal: Proposal = { approvers: [], quorum: null, timeout: null };

/** The step of those who were proposed, before the steps of the template. */
export const proposedStep = 'proposed';

/** By head, and never approved by fewer than one: what else there is could let one of them outvote the others. */
const proposableKinds: readonly QuorumKind[] = ['single', 'sequential', 'at_least', 'majority', 'unanimous'];

/**
 * How a plan is approved: by the template that is bound to such approvals, else by one of those who hold `plan:approve`
 * where the plan lies. Of a template nothing is changed: who is proposed beside it decides in a step before its own, so
 * that it approves what both approve. Without a template those proposed stand among the holders, and the quorum of all
 * of them may be raised.
 * @throws {VALIDATION_FAILED} {SELF_APPROVAL_FORBIDDEN}
 */
export function planWorkflow(
  template: Pick<WorkflowTemplateRow, 'definition'> | null,
  proposal: Proposal,
  options: { readonly maxDelegations: number; readonly barred: readonly string[]; readonly path: readonly string[] },
): WorkflowDefinition {
  const { maxDelegations, path } = options;
  requireProposal(proposal, options);
  const { approvers, timeout } = proposal;
  const more = { maxDelegations, ...(timeout === null ? {} : { timeout }) };
  const quorum = proposal.quorum ?? { kind: 'single' };
  if (template === null) {
    const holders: ApproverSpec = { permission: approvePlan, weight: 1, required: false };
    // One approval in spite of rejections is less than what the first decision decides.
    const isLess = quorum.kind === 'at_least' && (quorum.required ?? 1) < 2;
    return singleStep({
      approvers: [holders, ...approvers],
      quorum: isLess ? { kind: 'single' } : quorum,
      ...more,
    });
  }
  const { definition } = template;
  if (approvers.length === 0) return definition;
  if (definition.steps.some(({ id }) => id === proposedStep))
    throw new PlatformError('INVALID_WORKFLOW', `the template has a step ${proposedStep} of its own`, { path });
  const [first] = singleStep({ approvers, quorum, ...more }).steps;
  const after = (step: StepDefinition): StepDefinition =>
    step.dependsOn.length === 0 ? { ...step, dependsOn: [proposedStep] } : step;
  return {
    ...definition,
    isExtended: true,
    steps: [{ ...first!, id: proposedStep, name: 'Proposed approvers' }, ...definition.steps.map(after)],
  };
}

function requireProposal(
  { approvers, quorum, timeout }: Proposal,
  { barred, path }: { readonly barred: readonly string[]; readonly path: readonly string[] },
): void {
  const own = approvers.find(({ subject }) => subject !== undefined && barred.includes(subject));
  if (own !== undefined)
    throw new PlatformError('SELF_APPROVAL_FORBIDDEN', `${own.subject} asked for the approval or wrote the plan`, {
      path: [...path, 'approvers'],
    });
  if (quorum !== null && !proposableKinds.includes(quorum.kind))
    throw new PlatformError(
      'VALIDATION_FAILED',
      `quorum: expected ${proposableKinds.join(', ')} for the approval of a plan, got ${quorum.kind}`,
      { path: [...path, 'quorum'] },
    );
  if (timeout?.action === 'auto_approve')
    throw new PlatformError('VALIDATION_FAILED', 'timeout: only a template lets time approve a plan', {
      path: [...path, 'timeout'],
    });
}

/** What was proposed in a workflow that was made before: the rules may have changed since. */
export function proposalIn({ workflow, templateId }: Pick<ConfirmRow, 'workflow' | 'templateId'>): Proposal {
  const step =
    templateId === null && workflow?.steps.length === 1
      ? workflow.steps[0]
      : workflow?.steps.find(({ id }) => workflow.isExtended === true && id === proposedStep);
  if (step === undefined) return noProposal;
  const approvers = step.approvers.filter(({ permission }) => permission === undefined);
  return {
    approvers,
    quorum: proposableKinds.includes(step.quorum.kind) ? step.quorum : null,
    timeout: step.timeout === undefined || step.timeout.action === 'auto_approve' ? null : step.timeout,
  };
}
