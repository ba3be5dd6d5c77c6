import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { type Governance, type OverrideClaim, passLock } from '#shared/governanceOverride.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { Sql } from '#shared/sql.ts';
import { requireVersion } from '#shared/validation.ts';
import type { CommandResult, CommandRunner } from './commands.ts';
import { type Aggregate, createDraft, type Draft } from './draft.ts';
import type { ConfirmRow } from './rows.ts';
import { findConfirms } from './store.ts';

const lockOf = { noun: 'confirm', path: ['confirmId'] } as const;

export interface ChangeOptions {
  readonly expectedVersion: number | null | undefined;
  readonly idempotent: IdempotentCall | null;
  readonly action: string;
  /** Gate that the confirm takes by it. */
  readonly gateKey?: string;
  /** What is to open its lock, where governance has locked it. @default none */
  readonly claim?: OverrideClaim | null;
}

/** Runs a change of an existing confirm under its lock; one that answers false, or no draft, stores nothing. */
export type Change = (
  scope: RequestScope,
  confirmId: string,
  options: ChangeOptions,
  work: (draft: Draft) => undefined | boolean | Draft,
) => Promise<CommandResult>;

export function createChange(commands: CommandRunner): Change {
  return (
    scope,
    confirmId,
    { expectedVersion, idempotent, action, gateKey = null as string | null, claim = null },
    work,
  ) =>
    commands.run({
      scope,
      principal: scope.principal,
      confirmId,
      idempotent,
      gateKey,
      action,
      decide(current: Aggregate | null) {
        if (current === null) throw unknownConfirm(confirmId);
        requireVersion(expectedVersion, current.confirm.version);
        const governance = passLock(current.confirm.governance as Governance | null, claim, lockOf);
        const draft = createDraft(current.confirm, current.approvers);
        if (governance !== null) draft.confirm = { ...draft.confirm, governance: governance as never };
        const left = work(draft);
        return typeof left === 'object' ? left : left === false ? null : draft;
      },
    });
}

export function unknownConfirm(id: string): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such confirm', { path: ['confirmId'], details: { confirmId: id } });
}

/** @throws {NOT_FOUND} */
export async function requireConfirm(sql: Sql, tenantId: string, confirmId: string): Promise<ConfirmRow> {
  const [row] = await findConfirms(sql, tenantId, [confirmId]);
  if (!row) throw unknownConfirm(confirmId);
  return row;
}

export function callOf(
  scope: RequestScope,
  key: string | null | undefined,
  operation: string,
  input: unknown,
): IdempotentCall | null {
  const { tenantId, subject } = scope.principal;
  return key == null ? null : { tenantId, subject, key, operation, input };
}

/** What is answered where an earlier call has done the work, whatever has become of its target since. */
export function repeatOf(known: { readonly response: unknown }): CommandResult {
  const { confirmId } = known.response as { readonly confirmId: string };
  return { confirmId, confirm: null, approvers: null, decisions: [], changed: false };
}
