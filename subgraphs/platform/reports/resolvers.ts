import { callOf } from '../call.ts';
import { shownFile } from '../files/rows.ts';
import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';

export const reportQueries = {
  report: async (_parent, { id }, { service, scope }) => {
    const file = await service.files.find(scope, id, 'report');
    return file && shownFile(file);
  },
  reports: (_parent, { contextId, ...page }, { service, scope }) =>
    service.filePage(scope, { purpose: 'report', contextId: contextId ?? null }, page),
} satisfies QueryResolvers;

export const reportMutations = {
  createReport: async (_parent, { input, idempotencyKey }, { service, scope }) => {
    const { contextId, format, from = null, to = null } = input;
    const asked = { contextId, format: format.toLowerCase(), from, to };
    const file = await service.reports.create(scope, asked, (given) =>
      callOf(scope, idempotencyKey, 'createReport', given),
    );
    return { file: shownFile(file), userErrors: [] };
  },
  cancelReport: async (_parent, { id, idempotencyKey }, { service, scope }) => {
    const call = callOf(scope, idempotencyKey, 'cancelReport', { id });
    return { file: shownFile(await service.files.cancel(scope, id, 'report', call)), userErrors: [] };
  },
} satisfies MutationResolvers;
