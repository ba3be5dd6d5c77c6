import type { NeededPermission } from './directory.ts';
import type { ConfirmRow } from './rows.ts';

type Deciding = Pick<ConfirmRow, 'targetType' | 'targetId' | 'confirmationType' | 'contextId'>;
type Asked = Pick<ConfirmRow, 'requestedBy' | 'requester' | 'workflow'>;

export const planApproval = 'plan_approval';

/** The permission that decides about a plan, beside `confirm:approve`. */
export const approvePlan = 'plan:approve';

/** Whether the outcome decides about a plan; a document has no type. */
export const decidesPlan = ({ targetType, confirmationType }: Pick<Deciding, 'targetType' | 'confirmationType'>) =>
  targetType === 'plan' && (confirmationType === null || confirmationType === planApproval);

/** What who decides it needs beside `confirm:approve`; null where that is enough. */
export function neededToDecide(confirm: Deciding): NeededPermission | null {
  if (!decidesPlan(confirm)) return null;
  return { permission: approvePlan, contextId: confirm.contextId, planId: confirm.targetId };
}

/** Who wrote what is to be approved; null where nobody told. */
export function authorOf({ requester }: Pick<Asked, 'requester'>): string | null {
  const author = requester?.['author'];
  return typeof author === 'string' ? author : null;
}

/** Who asked, and who wrote what it is about: neither decides it. */
export function barredOf(confirm: Pick<Asked, 'requestedBy' | 'requester'>): readonly string[] {
  return [confirm.requestedBy, authorOf(confirm)].filter((subject) => subject !== null);
}

/** Whether the subject is kept from deciding. Who puts a question to the vote may be named among those who vote. */
export const isBarred = (confirm: Asked, subject: string): boolean =>
  confirm.workflow?.consensus === undefined && barredOf(confirm).includes(subject);
