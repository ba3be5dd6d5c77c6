import { neededToDecide } from './deciders.ts';
import type { ApproverDirectory } from './directory.ts';
import type { ConfirmRow } from './rows.ts';

type Deciding = Pick<ConfirmRow, 'tenantId' | 'targetType' | 'targetId' | 'confirmationType' | 'contextId'>;

/**
 * Of those to whom a part is, or may be, passed on the ones that can decide it by what roles say: nobody is denied
 * `confirm:approve`, which a token may grant unseen, and what else is needed is granted by a role.
 */
export function createDelegates(directory: Pick<ApproverDirectory, 'standings'>) {
  return async function findAble(confirm: Deciding, subjects: readonly string[]): Promise<ReadonlySet<string>> {
    const needed = neededToDecide(confirm);
    const { tenantId, contextId } = confirm;
    const [deciding, more] = await Promise.all([
      directory.standings(tenantId, { permission: 'confirm:approve', contextId, planId: null }, subjects),
      needed === null ? null : directory.standings(tenantId, needed, subjects),
    ]);
    return new Set(
      subjects.filter(
        (subject) => deciding?.get(subject) !== 'denied' && (more === null || more.get(subject) === 'granted'),
      ),
    );
  };
}

export type FindAble = ReturnType<typeof createDelegates>;
