import { requirePermission } from '#shared/auth.ts';
import type { PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import type { createFiles } from '../files/files.ts';
import type { FileFormat } from '../files/rows.ts';
import type { Keyring } from '../security/keyring.ts';
import { createAuditSource } from './export.ts';
import { auditFilter, createAuditList } from './list.ts';
import { createAuditRetention } from './retention.ts';
import { createVerifier, findSpan } from './verify.ts';

export interface AuditRangeInput {
  readonly from?: Date | null | undefined;
  readonly to?: Date | null | undefined;
  readonly fromBlock?: number | null | undefined;
}

/** Who changed what over all modules, the chain that seals it, and its exports. */
export function createAudit(runtime: ModuleRuntime, files: ReturnType<typeof createFiles>, keyring: Keyring) {
  const list = createAuditList(runtime);
  const verify = createVerifier({ ...runtime, keyring });
  const retention = createAuditRetention({ ...runtime, keyring });
  return {
    source: createAuditSource(list),
    prune: retention.prune,
    /** @throws {PERMISSION_DENIED} where it looks for an address and may not see any. */
    async events(scope: RequestScope, filter: unknown, page: PageInput) {
      const { address } = filter as { readonly address?: string | null };
      if (address != null) await requirePermission(runtime.authorizer, scope.principal, 'audit:inspect');
      return list.page(scope, filter, page);
    },

    /** @throws {VALIDATION_FAILED} */
    async verify(scope: RequestScope, range: AuditRangeInput) {
      const { from = null, to = null, fromBlock = null } = range;
      if (fromBlock !== null && fromBlock < 1)
        throw new PlatformError('VALIDATION_FAILED', 'fromBlock: expected 1 or more', { path: ['range', 'fromBlock'] });
      if (from !== null && to !== null && from > to)
        throw new PlatformError('VALIDATION_FAILED', 'range: expected from before to', { path: ['range', 'to'] });
      const { tenantId } = scope.principal;
      const span = await findSpan(runtime.sql, tenantId, { from, to });
      // A time without blocks: nothing to hold to anything but the end of the chain.
      const asked = span ?? { fromBlock: Number.MAX_SAFE_INTEGER, toBlock: 0 };
      return verify(tenantId, { ...asked, fromBlock: Math.max(asked.fromBlock, fromBlock ?? 1) });
    },

    export(scope: RequestScope, input: { format: FileFormat; filter: unknown }, call: IdempotentCall | null) {
      if (input.format === 'json')
        throw new PlatformError('VALIDATION_FAILED', 'input.format: expected NDJSON or CSV', {
          path: ['input', 'format'],
        });
      const filter = parseInput(auditFilter, input.filter ?? {}, ['input', 'filter']);
      const request = JSON.parse(JSON.stringify(filter)) as Record<string, unknown>;
      return files.create(scope, { purpose: 'audit', format: input.format, name: 'audit', request, call });
    },
  };
}
