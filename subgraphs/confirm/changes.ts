import type { RequestScope } from '#shared/context.ts';
import { type Governance, type OverrideClaim, passLock } from '#shared/governanceOverride.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import { requireVersion } from '#shared/validation.ts';
import type { ConfirmAccess } from './access.ts';
import type { CommandResult, CommandRunner } from './commands.ts';
import { type Aggregate, createDraft, type Draft } from './draft.ts';
import { unknownConfirm } from './unknownConfirm.ts';

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

export function createChange(commands: CommandRunner, access: Pick<ConfirmAccess, 'requireVisible'>): Change {
  return async (
    scope,
    confirmId,
    { expectedVersion, idempotent, action, gateKey = null as string | null, claim = null },
    work,
  ) => {
    await access.requireVisible(scope.principal, confirmId);
    return commands.run({
      scope,
      principal: scope.principal,
      confirmId,
      idempotent,
      gateKey,
      action,
      decide(current: Aggregate | null, atMs: number) {
        if (current === null) throw unknownConfirm(confirmId);
        requireVersion(expectedVersion, current.confirm.version);
        const governance = passLock(current.confirm.governance as Governance | null, claim, lockOf);
        const draft = createDraft(current.confirm, current.approvers, { atMs });
        if (governance !== null) draft.confirm = { ...draft.confirm, governance: governance as never };
        const left = work(draft);
        return typeof left === 'object' ? left : left === false ? null : draft;
      },
    });
  };
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
