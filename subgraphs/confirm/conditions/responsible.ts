import { type Draft, putApprover } from '../draft.ts';
import type { ApproverState, ConditionValue } from '../rows.ts';

/** Where what waits for who is responsible for a condition stands among the parts of a confirm. */
const partOf = (conditionId: string) => `condition:${conditionId}`;

/** Puts a condition among what waits for who is responsible for it. */
export function askResponsible(draft: Draft, { id, responsible, dueDate }: ConditionValue): void {
  if (responsible === null) return;
  putApprover(draft, {
    tenantId: draft.confirm.tenantId,
    confirmId: draft.confirm.id,
    stepId: partOf(id),
    subject: responsible,
    role: null,
    weight: 0,
    required: false,
    position: 0,
    state: 'waiting',
    vote: null,
    ballot: null,
    delegatedFrom: null,
    depth: 0,
    level: 0,
    dueAt: dueDate ?? draft.confirm.expiresAt!,
    waitingSince: draft.at,
    decidedAt: null,
    conditionId: id,
  });
}

/** Conditions without a date of their own have the time of the whole, which may have become longer. */
export function moveResponsible(draft: Draft): void {
  const undated = new Set(
    (draft.confirm.conditions ?? []).flatMap(({ id, dueDate }) => (dueDate === null ? [id] : [])),
  );
  for (const row of waitingOnes(draft))
    if (undated.has(row.conditionId!) && row.dueAt !== draft.confirm.expiresAt)
      putApprover(draft, { ...row, dueAt: draft.confirm.expiresAt! });
}

/** A condition has been settled: by who was responsible, or by somebody else. */
export function dismissResponsible(draft: Draft, { id, settledBy, responsible }: ConditionValue): void {
  const state: ApproverState = settledBy !== null && settledBy === responsible ? 'decided' : 'closed';
  for (const row of waitingOnes(draft))
    if (row.conditionId === id) putApprover(draft, { ...row, state, decidedAt: draft.at });
}

/** Nobody is asked for any condition any more. */
export function dismissAll(draft: Draft): void {
  for (const row of waitingOnes(draft)) putApprover(draft, { ...row, state: 'closed', decidedAt: draft.at });
}

function waitingOnes(draft: Draft) {
  return [...draft.approvers.values()].filter(({ conditionId, state }) => conditionId !== null && state === 'waiting');
}
