import { subjectBoundTag } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import { selectedFields } from '#shared/selectedFields.ts';
import { parseInput } from '#shared/validation.ts';
import { consensusOf } from '../consensus/state.ts';
import type { RequestContext } from '../context.ts';
import { searchDecisions } from '../decisionSearch.ts';
import { listInbox } from '../inbox.ts';
import { subjectId } from '../inputs.ts';
import { listConfirms, readFilter } from '../lists.ts';
import type { QueryResolvers } from '../resolvers.generated.ts';
import { partKey } from '../returns.ts';
import type { ApprovalItemRow } from '../rows.ts';
import { readMetrics, readStatistics } from '../statistics.ts';

/** What is one's own everyone sees; what is another's, administrators. @throws {PERMISSION_DENIED} */
export async function requireOwn({ principal, service }: RequestContext, subject: string): Promise<void> {
  if (subject !== principal.subject && !(await service.isAdmin(principal)))
    throw new PlatformError('PERMISSION_DENIED', "another's approvals need the permission confirm:admin", {
      details: { permission: 'confirm:admin' },
    });
}

/** A confirm whose question is put to the vote; null for any other. */
export async function loadConsensus({ loaders }: RequestContext, id: string) {
  const row = isId(id) ? await loaders.confirm.load(id) : null;
  return row !== null && consensusOf(row) !== null ? row : null;
}

export const queries: QueryResolvers = {
  confirm: (_parent, { id }, { loaders }) => (isId(id) ? loaders.confirm.load(id) : null),
  confirms: (_parent, { filter, ...page }, { service, scope }) =>
    listConfirms(service.sql, scope, readFilter(filter), page),
  approvalsInbox: async (_parent, args, { service, scope }, info) => {
    const { subject, tenantId } = scope.principal;
    const asked = selectedFields(info, 'nodes.confirm', 'edges.node.confirm');
    const read = () => listInbox(service.sql, scope, subject, args, asked);
    const inbox = await read();
    const lost = await service.returns.findLost(
      tenantId,
      inbox.nodes.map(({ approver }) => approver),
    );
    if (lost.size === 0) return inbox;
    // What went back is gone; what nobody else can take is not for who may not decide it either.
    const { edges, nodes, ...left } = await read();
    const isFor = ({ approver }: ApprovalItemRow) => approver.delegatedFrom === null || !lost.has(partKey(approver));
    return { ...left, edges: edges.filter(({ node }) => isFor(node)), nodes: nodes.filter(isFor) };
  },
  searchDecisions: async (_parent, args, { service, scope, loaders }) => {
    // An answer about one confirm is stale when others may see it, or no longer.
    if (isId(args.filter?.confirmId)) await loaders.confirm.load(args.filter.confirmId);
    return searchDecisions(service.sql, scope, args);
  },
  approvalWorkflow: async (_parent, { confirmId }, { loaders, service, principal }, info) => {
    const confirm = isId(confirmId) ? await loaders.confirm.load(confirmId) : null;
    const asked = selectedFields(info, '');
    const isForecast = asked.has('nextApprovers') || asked.has('tallies');
    if (confirm === null || confirm.status !== 'pending' || !isForecast) return confirm && { confirm };
    const lost = await service.returns.findLost(principal.tenantId, await loaders.approvers.load(confirm.id));
    if (lost.size === 0) return { confirm };
    loaders.confirm.clear(confirm.id);
    loaders.approvers.clear(confirm.id);
    const current = await loaders.confirm.load(confirm.id);
    return current && { confirm: current, lost };
  },
  consensusProcess: (_parent, { consensusId }, context) => loadConsensus(context, consensusId),
  workflowTemplate: (_parent, { templateId, version }, { service, scope }) => {
    scope.readTags.add(`WorkflowTemplate:${templateId}`);
    return service.templates.find(scope.principal.tenantId, templateId, version ?? null);
  },
  workflowTemplates: (_parent, args, { service, scope }) => service.templates.list(scope, args),
  verifyDecisions: async (_parent, { confirmId }, { service, loaders, principal }) =>
    isId(confirmId) && (await loaders.confirm.load(confirmId)) !== null
      ? service.verify(principal.tenantId, confirmId)
      : null,
  confirmStatistics: async (_parent, { filter }, { service, scope, loaders }) => {
    scope.readTags.add('confirms');
    await loaders.listAccess.load('confirms');
    return readStatistics(service.sql, scope.principal, readFilter(filter));
  },
  approvalMetrics: async (_parent, { approverId }, context) => {
    const subject = parseInput(subjectId, approverId ?? context.principal.subject, ['approverId']);
    await requireOwn(context, subject);
    context.scope.readTags.add(subjectBoundTag);
    return readMetrics(context.service.sql, context.principal.tenantId, subject);
  },
};
