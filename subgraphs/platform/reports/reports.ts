import { z } from 'zod';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput } from '#shared/validation.ts';
import type { createFiles } from '../files/files.ts';
import type { FileRow } from '../files/rows.ts';
import type { ReportRequest } from './source.ts';

const maxRangeMs = 30 * 86_400_000;

const reportInput = z
  .object({ contextId: id, format: z.enum(['csv', 'json']), from: z.date(), to: z.date() })
  .superRefine(({ from, to }, context) => {
    if (from >= to) context.addIssue({ code: 'custom', path: ['from'], message: 'expected it before `to`' });
    if (to.getTime() - from.getTime() > maxRangeMs)
      context.addIssue({ code: 'custom', path: ['from'], message: 'expected 30 days at most' });
  });

const findContext = 'query ReportContext($id: ID!) { context(contextId: $id) { id } }';

/** Reports of what happened in a context; each is for who asked for it alone. */
export function createReports({ graph }: Pick<ModuleRuntime, 'graph'>, files: ReturnType<typeof createFiles>) {
  return {
    /** @throws {VALIDATION_FAILED} {NOT_FOUND} where the caller sees no such context {QUOTA_EXCEEDED} */
    async create(
      scope: RequestScope,
      given: { contextId: string; format: string; from: Date | null; to: Date | null },
      callOf: (input: unknown) => IdempotentCall | null,
    ): Promise<FileRow> {
      const to = given.to ?? new Date();
      const input = parseInput(reportInput, { ...given, to, from: given.from ?? new Date(to.getTime() - maxRangeMs) });
      const { principal } = scope;
      const { data, errors } = await graph.execute<{ context: { id: string } | null }>(
        findContext,
        { id: input.contextId },
        principal,
      );
      if (errors.some(({ code }) => code !== 'PERMISSION_DENIED' && code !== 'NOT_FOUND'))
        throw new PlatformError('UNAVAILABLE', 'the context cannot be looked at');
      if (!data?.context) throw new PlatformError('NOT_FOUND', 'no such context', { path: ['input', 'contextId'] });
      const { subject, scopes, roles, isBounded = false } = principal;
      const request: ReportRequest = {
        contextId: input.contextId,
        from: input.from.toISOString(),
        to: to.toISOString(),
        principal: { subject, scopes, roles, ...(isBounded ? { isBounded } : {}) },
      };
      return files.create(scope, {
        purpose: 'report',
        format: input.format,
        name: `report-${input.contextId}`,
        request: { ...request },
        contextId: input.contextId,
        // Times that were left out are not part of what was asked.
        call: callOf(given),
      });
    },
  };
}
