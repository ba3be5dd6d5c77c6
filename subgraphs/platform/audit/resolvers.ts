import type { RequestOrigin } from '#shared/requestOrigin.ts';
import { callOf } from '../call.ts';
import { shownFile } from '../files/rows.ts';
import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';
import type { ListedAudit } from './list.ts';

function shown({ createdAt, detail, origin, tenantId: _tenant, ...row }: ListedAudit) {
  const came = (origin === null ? {} : JSON.parse(origin)) as Partial<RequestOrigin>;
  return {
    ...row,
    timestamp: createdAt,
    detail: JSON.parse(detail) as unknown,
    correlationId: came.correlationId ?? null,
    tokenId: came.tokenId ?? null,
    roles: came.roles === undefined ? null : [...came.roles],
    instance: came.instance ?? null,
    address: came.address ?? null,
    userAgent: came.userAgent ?? null,
  };
}

function shownPage(page: { edges: readonly { cursor: string; node: ListedAudit }[]; pageInfo: object }) {
  const edges = page.edges.map(({ cursor, node }) => ({ cursor, node: shown(node) }));
  return { edges, nodes: edges.map(({ node }) => node), pageInfo: page.pageInfo as never };
}

export const auditQueries = {
  auditEvents: async (_parent, { filter, ...page }, { service, scope }) =>
    shownPage(await service.audit.events(scope, filter ?? {}, page)),
  auditTrail: async (_parent, { resource, resourceId, ...page }, { service, scope }) =>
    shownPage(await service.audit.events(scope, { resource, resourceId }, page)),
  verifyAuditChain: async (_parent, { range }, { service, scope }) => {
    const { problems, prunings, ...found } = await service.audit.verify(scope, range ?? {});
    return { ...found, problems: [...problems], prunings: [...prunings] };
  },
  auditExport: async (_parent, { id }, { service, scope }) => {
    const file = await service.files.find(scope, id, 'audit');
    return file && shownFile(file);
  },
  auditExports: async (_parent, page, { service, scope }) =>
    service.filePage(scope, { purpose: 'audit', contextId: null }, page),
} satisfies QueryResolvers;

export const auditMutations = {
  exportAudit: async (_parent, { input, idempotencyKey }, { service, scope }) => {
    const asked = { format: input.format.toLowerCase() as 'csv' | 'json' | 'ndjson', filter: input.filter };
    const file = await service.audit.export(scope, asked, callOf(scope, idempotencyKey, 'exportAudit', asked));
    return { file: shownFile(file), userErrors: [] };
  },
  cancelAuditExport: async (_parent, { id, idempotencyKey }, { service, scope }) => {
    const call = callOf(scope, idempotencyKey, 'cancelAuditExport', { id });
    return { file: shownFile(await service.files.cancel(scope, id, 'audit', call)), userErrors: [] };
  },
} satisfies MutationResolvers;
