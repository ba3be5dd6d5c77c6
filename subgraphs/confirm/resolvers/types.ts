import { subjectBoundTag } from '#shared/context.ts';
import { auditedDecisions, auditKind } from '../auditTrail.ts';
import { consensusOf } from '../consensus/state.ts';
import { toDocument } from '../document.ts';
import { inboxTag } from '../events.ts';
import { impactPayload } from '../impact.ts';
import { readInboxFilter, toItem } from '../inbox.ts';
import { readFilter } from '../lists.ts';
import { notificationsPayload } from '../notifications.ts';
import {
  approverPayload,
  conditionPayloads,
  decisionPayload,
  definitionPayload,
  delegationChain,
  isDecider,
  requesterPayload,
  stepOfPart,
  stepPayloads,
  toScores,
} from '../payload.ts';
import type {
  ApprovalOutcome,
  ApprovalWorkflowType,
  ApproverState,
  ConfirmPhase,
  ConfirmPriority,
  ConfirmStatus,
  ConfirmTargetType,
  ConfirmUrgency,
  Resolvers,
} from '../resolvers.generated.ts';
import { partKey, withoutLost } from '../returns.ts';
import { riskPayload } from '../risk.ts';
import { subjectPayload } from '../subject.ts';
import { consensusTypes } from './consensus.ts';
import { requireOwn } from './queries.ts';
import { targetOf, traceOf } from './target.ts';

const noneLost: ReadonlySet<string> = new Set();

const upper = <Enum extends string>(value: string) => value.toUpperCase() as Enum;

export const types: Omit<Resolvers, 'Query' | 'Mutation'> = {
  Confirm: {
    __resolveReference: ({ id }, { loaders }) => loaders.confirm.load(id),
    confirmId: (row) => row.id,
    context: (row) => (row.contextId === null ? null : { id: row.contextId }),
    plan: ({ planId }) => (planId === null ? null : { id: planId }),
    targetType: (row) => upper<ConfirmTargetType>(row.targetType),
    target: (row) => targetOf(row),
    consensus: (row) => (consensusOf(row) === null ? null : row),
    status: (row) => upper<ConfirmStatus>(row.status),
    phase: (row) => upper<ConfirmPhase>(row.phase),
    priority: (row) => upper<ConfirmPriority>(row.priority),
    urgency: (row) => upper<ConfirmUrgency>(row.urgency),
    requester: (row) => requesterPayload(row),
    subject: (row) => subjectPayload(row.subject),
    notifications: (row) => notificationsPayload(row),
    riskAssessment: (row) => riskPayload(row.riskAssessment),
    impactAssessment: (row) => impactPayload(row.impact),
    attachments: (row) => [...(row.attachments ?? [])],
    conditions: (row) => conditionPayloads(row) as never,
    resubmissionOf: (row, _args, { loaders }) =>
      row.resubmissionOf === null ? null : loaders.confirm.load(row.resubmissionOf),
    steps: (row) => stepPayloads(row),
    approvers: async (row, _args, { loaders }) => (await loaders.approvers.load(row.id)).filter(isDecider),
    decisions: async (row, _args, { loaders }) => [...(await loaders.decisions.load(row.id))],
    governance: (row) =>
      row.governance && {
        lifecyclePhase: row.governance.lifecyclePhase ?? null,
        truthDomain: row.governance.truthDomain ?? null,
        locked: row.governance.locked ?? false,
        lastConfirmId: row.governance.lastConfirmRef?.id ?? null,
      },
    auditTrail: (row, page, { loaders }) => loaders.auditTrails.load(row.id, null, page),
    trace: (row) => traceOf(row),
    document: async (row, _args, { loaders }) => toDocument(row, await loaders.decisions.load(row.id)),
  },
  ...consensusTypes,
  ConfirmTarget: { __resolveType: (target) => target.__typename },
  Context: {
    __resolveReference: ({ id }) => ({ id }),
    confirms: async ({ id }, { status, ...page }, { loaders, scope }) => {
      scope.readTags.add(`Context:${id}:confirms`);
      await loaders.listAccess.load('confirms');
      return loaders.contextConfirms.load(id, readFilter({ status }), page);
    },
  },
  Plan: {
    __resolveReference: ({ id }) => ({ id }),
    confirms: async ({ id }, { status, ...page }, { loaders, scope }) => {
      scope.readTags.add(`Plan:${id}:confirms`);
      await loaders.listAccess.load('confirms');
      return loaders.planConfirms.load(id, readFilter({ status }), page);
    },
  },
  Trace: {
    __resolveReference: ({ id }) => ({ id }),
    confirms: async ({ id }, { status, ...page }, { loaders, scope }) => {
      scope.readTags.add(`Trace:${id}:confirms`);
      await loaders.listAccess.load('confirms');
      return loaders.traceConfirms.load(id, readFilter({ status }), page);
    },
  },
  Subject: {
    pendingApprovals: async ({ id }, { filter, ...page }, context) => {
      await requireOwn(context, id);
      context.scope.readTags.add(inboxTag(id)).add(subjectBoundTag);
      const { edges, nodes: _nodes, ...inbox } = await context.loaders.inboxes.load(id, readInboxFilter(filter), page);
      const items = edges.map(({ node, cursor }) => ({ cursor, node: toItem(node, true) }));
      const lost = await context.service.returns.findLost(
        context.principal.tenantId,
        items.map(({ node }) => node.approver),
      );
      const shown = items.filter(
        ({ node: { approver } }) => approver.delegatedFrom === null || !lost.has(partKey(approver)),
      );
      return { ...inbox, edges: shown, nodes: shown.map(({ node }) => node), subject: id };
    },
  },
  ConfirmConnection: {
    totalCount: (connection) => connection.count(),
  },
  ConfirmApprover: {
    state: (row) => upper<ApproverState>(row.state),
    delegationChain: async (row, _args, { loaders }) =>
      row.delegatedFrom === null ? [] : delegationChain(row, await loaders.approvers.load(row.confirmId)),
  },
  ConfirmAuditConnection: {
    edges: ({ edges }) => [...edges],
    nodes: ({ nodes }) => [...nodes],
    totalCount: (connection) => connection.count(),
  },
  ConfirmAuditEntry: {
    kind: (row) => auditKind(row),
    status: ({ detail: { status } }) => (status === undefined ? null : upper<ConfirmStatus>(status)),
    phase: ({ detail: { phase } }) => (phase === undefined ? null : upper<ConfirmPhase>(phase)),
    decisions: (row) =>
      auditedDecisions(row).map(({ outcome, ...decision }) => ({
        ...decision,
        outcome: upper<ApprovalOutcome>(outcome),
      })),
  },
  ConfirmDecisionConnection: {
    edges: ({ edges }) => [...edges],
    nodes: ({ nodes }) => [...nodes],
    totalCount: (connection) => connection.count(),
  },
  ConfirmDecision: {
    __resolveReference: ({ id }, { loaders }) => loaders.decision.load(id),
    // A decision stands as long as its confirm.
    confirm: async (row, _args, { loaders }) => (await loaders.confirm.load(row.confirmId))!,
    decidedByRole: (row) => row.role,
    outcome: (row) => upper<ApprovalOutcome>(row.outcome),
    conditions: (row) => decisionPayload(row).conditions as never,
    optionId: (row) => row.ballot?.optionId ?? null,
    scores: (row) => toScores(row.ballot?.scores),
    riskAssessment: (row) => riskPayload(row.risk),
  },
  ApprovalPayload: {
    estimatedCompletion: ({ confirm }, _args, { service }) => (confirm ? service.predict(confirm) : null),
  },
  ApprovalItem: {
    confirm: ({ confirm, isWhole }, _args, { loaders }) => {
      if (isWhole) loaders.confirm.prime(confirm.id, confirm);
      return confirm;
    },
    stepId: async ({ approver }, _args, { loaders }) =>
      isDecider(approver)
        ? approver.stepId
        : stepOfPart(approver, (await loaders.confirm.load(approver.confirmId)) ?? { conditions: null }),
    condition: async ({ approver }, _args, { loaders }) => {
      if (isDecider(approver)) return null;
      const confirm = await loaders.confirm.load(approver.confirmId);
      return (confirm && conditionPayloads(confirm).find(({ id }) => id === approver.conditionId)) as never;
    },
    role: ({ approver }) => approver.role,
    dueAt: ({ approver }) => approver.dueAt,
    waitingSince: ({ approver }) => approver.waitingSince,
    isOverdue: ({ isOverdue }) => isOverdue,
    level: ({ approver }) => approver.level,
    delegatedFrom: ({ approver }) => approverPayload(approver).delegatedFrom,
  },
  ApprovalItemConnection: {
    waiting: ({ subject }, _args, { loaders }) => loaders.waiting.load(subject),
  },
  ApprovalWorkflowState: {
    type: ({ confirm }) => (confirm.workflow === null ? null : upper<ApprovalWorkflowType>(confirm.workflow.type)),
    steps: ({ confirm }) => stepPayloads(confirm),
    activeSteps: ({ confirm }) => stepPayloads(confirm).filter(({ status }) => status === 'ACTIVE'),
    progress: ({ confirm: { steps, status } }) =>
      status !== 'pending' || steps.length === 0
        ? Number(status !== 'pending')
        : steps.filter((step) => step.status !== 'pending' && step.status !== 'active').length / steps.length,
    nextApprovers: async ({ confirm, lost = noneLost }, _args, { loaders }) =>
      withoutLost(await loaders.approvers.load(confirm.id), lost).filter(
        (row) => row.state === 'waiting' && isDecider(row),
      ),
    tallies: async ({ confirm, lost = noneLost }, _args, { service, loaders }) =>
      confirm.workflow === null
        ? []
        : service.tallies(confirm, withoutLost(await loaders.approvers.load(confirm.id), lost)),
    predictedCompletion: ({ confirm }, _args, { service }) => service.predict(confirm),
  },
  WorkflowTemplate: {
    __resolveReference: ({ id }, { service, scope }) => {
      scope.readTags.add(`WorkflowTemplate:${id}`);
      return service.templates.find(scope.principal.tenantId, id);
    },
    type: ({ definition }) => upper<ApprovalWorkflowType>(definition.type),
    globalTimeoutMs: ({ definition }) => definition.globalTimeoutMs,
    triggers: ({ triggers }) => triggers as never,
    steps: ({ definition }) => definition.steps.map((step) => definitionPayload(step) as never),
  },
  DecisionChainReport: {
    fault: ({ fault }) => fault && { ...fault, reason: upper(fault.reason) },
  },
};
