import { requirePermission } from '#shared/auth.ts';
import { PlatformError } from '#shared/errors.ts';
import type { QueryResolvers } from '../resolvers.generated.ts';
import { shownFile } from './rows.ts';

const rightOf = { audit: 'audit:export', report: 'report:read', subject: 'subject:export' } as const;

export const fileQueries = {
  fileContent: async (_parent, { id, part }, { service, scope }) => {
    if (part < 0) throw new PlatformError('VALIDATION_FAILED', 'part: expected 0 or more', { path: ['part'] });
    const file = await service.files.find(scope, id, null);
    if (!file) return null;
    await requirePermission(service.authorizer, scope.principal, rightOf[file.purpose]);
    const base64 = await service.files.content(file, part);
    return base64 === null ? null : { file: shownFile(file), part, base64 };
  },
} satisfies QueryResolvers;
