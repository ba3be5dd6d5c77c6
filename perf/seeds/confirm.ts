import { createPrincipal } from '#shared/principal.ts';
import type { RecordShape } from '#shared/record.ts';
import type { Sql } from '#shared/sql.ts';
import { decide } from '../../subgraphs/confirm/decide.ts';
import type { Draft } from '../../subgraphs/confirm/draft.ts';
import { finish } from '../../subgraphs/confirm/engine.ts';
import { openConfirm } from '../../subgraphs/confirm/opening.ts';
import type { Eligible } from '../../subgraphs/confirm/routing.ts';
import type { StepState } from '../../subgraphs/confirm/rows.ts';
import { approverRecord, confirmRecord, decisionRecord } from '../../subgraphs/confirm/store.ts';
import { singleStep } from '../../subgraphs/confirm/workflowInput.ts';
import { contextId, perfTenant } from './context.ts';
import { type CopyValue, copyRows, withoutIndexes } from './copyRows.ts';
import { seedId } from './seedId.ts';

export interface ConfirmSeed {
  /** Contexts that are there already; approvals lie in them in turn. */
  readonly contexts: number;
  readonly approvals: number;
  /** Different agents that ask and decide. */
  readonly subjects: number;
}

/** What an approval of the data set is for: most are history, some wait, some are to be late. */
export type SeededKind = 'decided' | 'waiting' | 'late';

export const escalationLevels = 8;
const hourMs = 3_600_000;
const chunkRows = 5_000;
/** No timer of the platform may look at what waits while it is measured. */
const farAway = '2099-01-01T00:00:00.000Z';
const longAgo = '2026-01-01T00:00:00.000Z';

export const confirmId = (approval: number): string => seedId('confirm', approval);
export const approverCount = (approval: number): number => 1 + (approval % 5);
export const approverName = (subject: number): string => `agent-${subject}`;
export const requesterAt = (approval: number, subjects: number): number => (approval * 13) % subjects;
/** Numbers of the agents that decide an approval; never who asked for it. */
export const approverAt = (approval: number, place: number, subjects: number): number =>
  (requesterAt(approval, subjects) + 1 + ((approval * 7 + place) % (subjects - 1))) % subjects;

/** Of ten approvals five are decided, three wait, two can be made late. */
export function kindOf(approval: number): SeededKind {
  const place = approval % 10;
  return place < 5 ? 'decided' : place < 8 ? 'waiting' : 'late';
}

/** The n-th approval of a kind. */
export function nthOf(kind: SeededKind, n: number): number {
  const [first, width] = kind === 'decided' ? [0, 5] : kind === 'waiting' ? [5, 3] : [8, 2];
  return Math.floor(n / width) * 10 + first + (n % width);
}

export const countOf = (kind: SeededKind, { approvals }: ConfirmSeed): number =>
  Math.floor(approvals / 10) * (kind === 'decided' ? 5 : kind === 'waiting' ? 3 : 2);

function seededConfirm(approval: number, { contexts, subjects }: ConfirmSeed): Draft {
  const kind = kindOf(approval);
  const requestedBy = approverName(requesterAt(approval, subjects));
  const names = Array.from({ length: approverCount(approval) }, (_, place) =>
    approverName(approverAt(approval, place, subjects)),
  );
  const part = { weight: 1, required: false };
  const single = singleStep({
    approvers: names.map((subject) => ({ ...part, subject })),
    quorum: { kind: 'single' },
    ...(kind === 'late' ? { timeout: { durationMs: 24 * hourMs, action: 'escalate' } as const } : {}),
  });
  const escalation = Array.from({ length: kind === 'late' ? escalationLevels : 0 }, (_, level) => ({
    subject: approverName(approverAt(approval, 10 + level, subjects)),
    timeoutMs: 24 * hourMs,
  }));
  const workflow = { ...single, steps: single.steps.map((step) => ({ ...step, escalation })) };
  const routes = new Map([['approval', names.map((subject): Eligible => ({ ...part, subject, role: null }))]]);
  const draft = openConfirm(
    {
      tenantId: perfTenant,
      id: confirmId(approval),
      contextId: contextId(approval % contexts),
      planId: null,
      targetType: 'other',
      targetId: seedId('confirmTarget', approval),
      confirmationType: 'risk_acceptance',
      title: `Accept risk ${approval}`,
      description: 'What is known of the risk and what is done about it stands in the report.',
      priority: 'normal',
      urgency: 'normal',
      requestedBy,
      requestedByRole: 'agent',
      reason: 'the plan needs it',
      requester: {},
      subject: { amount: approval % 10_000, currency: 'EUR' },
      riskAssessment: null,
      impact: null,
      attachments: null,
      notifications: null,
      reference: null,
      templateId: null,
      templateVersion: null,
      gateKey: null,
      requestEventId: null,
      createdBy: requestedBy,
      workflow,
    },
    routes,
    Date.now(),
  );
  if (kind === 'decided') {
    const subject = names[0]!;
    decide(draft, createPrincipal({ tenantId: perfTenant, subject, roles: ['agent'], scopes: [] }), {
      stepId: 'approval',
      outcome: approval % 10 === 0 ? 'rejected' : 'approved',
      rationale: 'as the report says',
      conditions: [],
      delegateTo: null,
      scores: null,
      risk: null,
      signature: null,
    });
  }
  finish(draft, requestedBy);
  if (kind === 'decided') return draft;
  const dueAt = kind === 'late' ? longAgo : farAway;
  const steps = draft.confirm.steps.map((step): StepState => ({ ...step, dueAt }));
  draft.confirm = { ...draft.confirm, steps, expiresAt: farAway, nextDeadlineAt: farAway };
  for (const [key, row] of draft.approvers) draft.approvers.set(key, { ...row, dueAt: farAway });
  return draft;
}

/** Values as COPY takes them: everything that is no scalar is JSON. */
function valuesOf<Row>(record: RecordShape<Row>, row: Row): readonly CopyValue[] {
  const { ord: _ord, ...values } = record.toRecord(row, 0);
  return Object.values(values).map((value) =>
    typeof value === 'object' && value !== null ? JSON.stringify(value) : (value as CopyValue),
  );
}

/**
 * Approvals of one tenant, made by the engine itself, as they stand when their events have left the log: half of them
 * decided, with their sealed decision.
 */
export async function seedConfirms(sql: Sql, seed: ConfirmSeed, log: (text: string) => void): Promise<void> {
  // The words of a decision hold its confirm's title: all are made at the end, by one statement.
  await sql.unsafe(`ALTER TABLE confirm.decision ALTER COLUMN search SET DEFAULT ''`);
  await withoutIndexes(sql, 'confirm.decision', () =>
    withoutIndexes(sql, 'confirm.confirm', async () => {
      for (let from = 0; from < seed.approvals; from += chunkRows) {
        const length = Math.min(chunkRows, seed.approvals - from);
        const drafts = Array.from({ length }, (_, index) => seededConfirm(from + index, seed));
        const copy = <Row>(table: string, record: RecordShape<Row>, rows: readonly Row[]) =>
          copyRows(
            sql,
            table,
            record.names.split(', '),
            rows.map((row) => valuesOf(record, row)),
          );
        await copy(
          'confirm.confirm',
          confirmRecord,
          drafts.map(({ confirm }) => confirm),
        );
        await copy(
          'confirm.approver',
          approverRecord,
          drafts.flatMap(({ approvers }) => [...approvers.values()]),
        );
        await copy(
          'confirm.decision',
          decisionRecord,
          drafts.flatMap(({ decisions }) => decisions),
        );
        log(`${from + length} approvals stored`);
      }
      await sql.unsafe(
        `UPDATE confirm.decision d SET search = to_tsvector('simple', c.title || ' ' || coalesce(d.rationale, ''))
       FROM confirm.confirm c WHERE c.tenant_id = d.tenant_id AND c.id = d.confirm_id`,
      );
    }),
  );
  await sql.unsafe('ALTER TABLE confirm.decision ALTER COLUMN search DROP DEFAULT');
  // Opened, started, and what was told of its decision.
  await sql.unsafe(
    `INSERT INTO confirm.stream_head (tenant_id, stream_id, last_sequence)
     SELECT tenant_id, id, CASE status WHEN 'pending' THEN 2 ELSE 5 END FROM confirm.confirm`,
  );
  await sql.unsafe(
    `INSERT INTO confirm.replica (tenant_id, type, id, status, detail, sequence) SELECT tenant_id, 'Context', id, 'known', '{"isPrivate": false}', 1 FROM context.context`,
  );
}
