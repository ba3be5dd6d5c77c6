import { parseInput } from '#shared/validation.ts';
import { callOf } from '../call.ts';
import { shownFile } from '../files/rows.ts';
import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';
import { subject as subjectSchema } from '../security/inputs.ts';

export const personalDataQueries = {
  subjectExport: async (_parent, { id }, { service, scope }) => {
    const file = await service.files.find(scope, id, 'subject');
    return file && shownFile(file);
  },
  subjectExports: async (_parent, page, { service, scope }) =>
    service.filePage(scope, { purpose: 'subject', contextId: null }, page),
} satisfies QueryResolvers;

export const personalDataMutations = {
  exportSubject: async (_parent, { subject: given, idempotencyKey }, { service, scope }) => {
    const subject = parseInput(subjectSchema, given, ['subject']);
    const file = await service.files.create(scope, {
      purpose: 'subject',
      format: 'ndjson',
      // The subject stands in the file, not in its name, which ends up in download folders and logs.
      name: 'subject-export',
      request: { subject },
      audited: { subject },
      call: callOf(scope, idempotencyKey, 'exportSubject', { subject }),
    });
    return { file: shownFile(file), userErrors: [] };
  },
  cancelSubjectExport: async (_parent, { id, idempotencyKey }, { service, scope }) => {
    const call = callOf(scope, idempotencyKey, 'cancelSubjectExport', { id });
    return { file: shownFile(await service.files.cancel(scope, id, 'subject', call)), userErrors: [] };
  },
} satisfies MutationResolvers;
