import { derivedId } from '#shared/derivedId.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { Aggregate, Draft, Told } from './draft.ts';
import type { ConfirmApproverRow, ConfirmDecisionRow, ConfirmRow, WorkflowTemplateRow } from './rows.ts';

/** The stream of what waits for a subject, as a UUID v4 of its name. */
export const inboxStream = (subject: string): string => derivedId(`approvals:${subject}`);

export const inboxTag = (subject: string) => `Subject:${subject}:approvals`;

export const decisionTag = (id: string) => `ConfirmDecision:${id}`;

/** Tags of a confirm and of the lists it stands in. */
export function confirmTags(
  confirm: Pick<ConfirmRow, 'id' | 'contextId' | 'planId' | 'targetType' | 'targetId'>,
): readonly string[] {
  return [
    `Confirm:${confirm.id}`,
    'confirms',
    ...(confirm.contextId === null ? [] : [`Context:${confirm.contextId}:confirms`]),
    ...(confirm.targetType === 'trace' ? [`Trace:${confirm.targetId}:confirms`] : []),
    ...(confirm.planId === null ? [] : [`Plan:${confirm.planId}:confirms`]),
  ];
}

/** @param decisions those that it makes known */
export function confirmEvent(
  type: string,
  confirm: ConfirmRow,
  more: Readonly<Record<string, unknown>>,
  decisions: readonly Pick<ConfirmDecisionRow, 'id'>[] = [],
): NewEvent {
  const tags = [...confirmTags(confirm), ...decisions.map(({ id }) => decisionTag(id))];
  return { streamId: confirm.id, type, data: { confirm, ...more }, tags };
}

/** What a command has to tell: the confirm's own stream, and the inboxes of those for whom something changed. */
export function eventsOf(draft: Draft): readonly NewEvent[] {
  const { confirm, before, told, approvers } = draft;
  const own = told.map(({ type, more }) => {
    const decision = more['decision'] as ConfirmDecisionRow | undefined;
    return confirmEvent(type, confirm, more, decision && [decision]);
  });
  const waited = new Map((before?.approvers ?? []).map((row) => [`${row.stepId}/${row.subject}`, row]));
  const inbox = [...draft.touched].flatMap((key) => {
    const approver = approvers.get(key)!;
    const was = waited.get(`${approver.stepId}/${approver.subject}`);
    const [waits, waitedBefore] = [isTold(approver), was !== undefined && isTold(was)];
    if (!waits && !waitedBefore) return [];
    const type = !waits ? 'approval.settled' : waitedBefore ? 'approval.changed' : 'approval.waiting';
    return [inboxEvent(type, confirm, approver)];
  });
  return [...own, ...inbox, ...told.flatMap((entry) => remindersOf(draft, entry))];
}

/** Who is reminded hears so where all that waits for them is told. */
function remindersOf({ confirm, approvers }: Draft, { type, more }: Told): readonly NewEvent[] {
  if (type !== 'confirm.reminded') return [];
  const { stepId, subjects } = more as { readonly stepId: string; readonly subjects: readonly string[] };
  return [...approvers.values()].flatMap((row) =>
    row.stepId === stepId && isTold(row) && subjects.includes(row.subject)
      ? [inboxEvent('approval.reminded', confirm, row)]
      : [],
  );
}

/** Whether the part waits for a decision and its people know. */
export const isTold = ({ state, waitingSince }: ConfirmApproverRow) => state === 'waiting' && waitingSince !== null;

function inboxEvent(type: string, confirm: ConfirmRow, approver: ConfirmApproverRow): NewEvent {
  return {
    streamId: inboxStream(approver.subject),
    type,
    data: { confirm, approver },
    tags: [inboxTag(approver.subject)],
  };
}

export function templateEvent(type: string, template: WorkflowTemplateRow): NewEvent {
  return {
    streamId: template.id,
    type,
    data: { template },
    tags: [`WorkflowTemplate:${template.id}`, 'workflowTemplates'],
  };
}

export function aggregateOf(draft: Draft): Aggregate {
  const approvers = [...draft.approvers.values()].sort(
    (a, b) =>
      compare(a.stepId, b.stepId) || a.level - b.level || a.position - b.position || compare(a.subject, b.subject),
  );
  return { confirm: draft.confirm, approvers };
}

const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b));
