import { PlatformError, toUserError } from '#shared/errors.ts';
import { readClock } from '../clock.ts';
import type { CommandResult } from '../commands.ts';
import type { RequestContext } from '../context.ts';
import { isDecider } from '../payload.ts';
import type { MutationResolvers } from '../resolvers.generated.ts';

async function payload({ service, scope, loaders }: RequestContext, result: CommandResult) {
  const confirm = await service.confirmOf(scope, result);
  // What an earlier mutation of the same request has read is stale now.
  for (const loader of Object.values(loaders)) loader.clearAll();
  loaders.confirm.prime(confirm.id, confirm);
  if (result.approvers !== null) loaders.approvers.prime(confirm.id, result.approvers);
  const approvers = await loaders.approvers.load(confirm.id);
  return {
    confirm,
    decisions: [...result.decisions],
    nextApprovers: approvers.filter((row) => row.state === 'waiting' && isDecider(row)),
    userErrors: [],
  };
}

async function consensusPayload(context: RequestContext, result: CommandResult) {
  const { confirm } = await payload(context, result);
  return { consensus: confirm, userErrors: [] };
}

type Refusal = ReturnType<typeof refusalOf>;
type Result = Awaited<ReturnType<typeof payload>> | { readonly userErrors: Refusal[] };

function refusalOf(error: PlatformError) {
  const { path, ...rest } = toUserError(error);
  return { ...rest, path: path && [...path] };
}

const maxBatch = 100;

/** Each decision by itself: what is refused stands in its own payload. @throws {VALIDATION_FAILED} for too many. */
async function processEach(context: RequestContext, inputs: readonly object[]) {
  if (inputs.length === 0 || inputs.length > maxBatch)
    throw new PlatformError('VALIDATION_FAILED', `inputs: expected 1 to ${maxBatch}, got ${inputs.length}`, {
      path: ['inputs'],
    });
  const settled = await Promise.allSettled(
    inputs.map((input) => context.service.approvals.process(context.scope, input)),
  );
  const results: Result[] = [];
  for (const one of settled) {
    if (one.status === 'fulfilled') results.push(await payload(context, one.value));
    else if (one.reason instanceof PlatformError && !one.reason.retryable)
      results.push({ userErrors: [refusalOf(one.reason)] });
    else throw one.reason;
  }
  return results;
}

export const mutations: MutationResolvers = {
  createApproval: async (_parent, { input }, context) =>
    payload(context, await context.service.approvals.create(context.scope, input)),
  processApproval: async (_parent, { input }, context) =>
    payload(context, await context.service.approvals.process(context.scope, input)),
  approveConfirm: async (_parent, input, context) =>
    payload(context, await context.service.approvals.process(context.scope, { ...input, decision: 'APPROVED' })),
  rejectConfirm: async (_parent, { reason, ...input }, context) =>
    payload(
      context,
      await context.service.approvals.process(context.scope, { ...input, rationale: reason, decision: 'REJECTED' }),
    ),
  delegateConfirm: async (_parent, { reason, ...input }, context) =>
    payload(
      context,
      await context.service.approvals.process(context.scope, { ...input, rationale: reason, decision: 'DELEGATED' }),
    ),
  processApprovals: async (_parent, { inputs }, context) => ({
    results: await processEach(context, inputs),
    userErrors: [],
  }),
  settleCondition: async (_parent, { input }, context) =>
    payload(context, await context.service.approvals.settleCondition(context.scope, input)),
  updateApproval: async (_parent, { input }, context) =>
    payload(context, await context.service.revisions.update(context.scope, input)),
  submitApproval: async (_parent, { confirmId, ...options }, context) =>
    payload(context, await context.service.revisions.submit(context.scope, confirmId, options)),
  resubmitApproval: async (_parent, { input }, context) =>
    payload(context, await context.service.revisions.resubmit(context.scope, input)),
  archiveConfirm: async (_parent, { confirmId, ...options }, context) =>
    payload(context, await context.service.approvals.archive(context.scope, confirmId, options)),
  cancelConfirm: async (_parent, { confirmId, ...options }, context) =>
    payload(context, await context.service.approvals.cancel(context.scope, confirmId, options)),
  startApprovalWorkflow: async (_parent, { templateId, input }, context) =>
    payload(context, await context.service.approvals.startWorkflow(context.scope, templateId, input)),
  escalateApproval: async (_parent, { confirmId, ...options }, context) =>
    payload(context, await context.service.approvals.escalate(context.scope, confirmId, options)),
  processEscalations: async (_parent, { now, limit }, { service, principal }) => {
    const nowMs = now?.getTime() ?? null;
    if (nowMs !== null && nowMs > (await readClock(service.sql)))
      throw new PlatformError('VALIDATION_FAILED', 'now: expected a time that has come', { path: ['now'] });
    const report = await service.escalations.process({ tenantId: principal.tenantId, nowMs, limit });
    return {
      ...report,
      escalated: [...report.escalated],
      expired: [...report.expired],
      breached: [...report.breached],
      autoDecided: [...report.autoDecided],
      extended: [...report.extended],
      reminded: [...report.reminded],
      notified: [...report.notified],
      userErrors: [],
    };
  },
  createWorkflowTemplate: async (_parent, { input }, { service, scope }) => ({
    template: await service.templates.create(scope, input),
    userErrors: [],
  }),
  updateWorkflowTemplate: async (_parent, { templateId, patch, ...options }, { service, scope }) => ({
    template: await service.templates.update(scope, templateId, patch, options),
    userErrors: [],
  }),
  createConsensusProcess: async (_parent, { input }, context) =>
    consensusPayload(context, await context.service.consensus.create(context.scope, input)),
  castVote: async (_parent, { input }, context) =>
    consensusPayload(context, await context.service.consensus.castVote(context.scope, input)),
};
