import { defineRecord } from '#shared/record.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ConfirmApproverRow, ConfirmDecisionRow, ConfirmRow } from './rows.ts';

type Reader = Pick<Sql | SqlTransaction, 'unsafe'>;

export const confirmRecord = defineRecord<ConfirmRow>([
  ['tenant_id', 'tenantId', 'text'],
  ['id', 'id', 'uuid'],
  ['context_id', 'contextId', 'uuid'],
  ['plan_id', 'planId', 'uuid'],
  ['target_type', 'targetType', 'text'],
  ['target_id', 'targetId', 'uuid'],
  ['status', 'status', 'text'],
  ['phase', 'phase', 'text'],
  ['confirmation_type', 'confirmationType', 'text'],
  ['title', 'title', 'text'],
  ['description', 'description', 'text'],
  ['priority', 'priority', 'text'],
  ['urgency', 'urgency', 'text'],
  ['requested_by', 'requestedBy', 'text'],
  ['requested_by_role', 'requestedByRole', 'text'],
  ['requested_at', 'requestedAt', 'timestamptz'],
  ['reason', 'reason', 'text'],
  ['resolution', 'resolution', 'text'],
  ['requester', 'requester', 'jsonb'],
  ['subject', 'subject', 'jsonb'],
  ['risk_assessment', 'riskAssessment', 'jsonb'],
  ['impact', 'impact', 'jsonb'],
  ['attachments', 'attachments', 'jsonb'],
  ['notifications', 'notifications', 'jsonb'],
  ['reference', 'reference', 'jsonb'],
  ['template_id', 'templateId', 'uuid'],
  ['template_version', 'templateVersion', 'int'],
  ['workflow', 'workflow', 'jsonb'],
  ['steps', 'steps', 'jsonb'],
  ['decision_count', 'decisionCount', 'int'],
  ['chain_head', 'chainHead', 'text'],
  ['gate_key', 'gateKey', 'text'],
  ['request_event_id', 'requestEventId', 'uuid'],
  ['governance', 'governance', 'jsonb'],
  ['protocol', 'protocol', 'jsonb'],
  ['result', 'result', 'jsonb'],
  ['conditions', 'conditions', 'jsonb'],
  ['resubmission_of', 'resubmissionOf', 'uuid'],
  ['attempt', 'attempt', 'int'],
  ['next_deadline_at', 'nextDeadlineAt', 'timestamptz'],
  ['expires_at', 'expiresAt', 'timestamptz'],
  ['resolved_at', 'resolvedAt', 'timestamptz'],
  ['version', 'version', 'int'],
  ['created_at', 'createdAt', 'timestamptz'],
  ['created_by', 'createdBy', 'text'],
  ['updated_at', 'updatedAt', 'timestamptz'],
  ['updated_by', 'updatedBy', 'text'],
]);

export const approverRecord = defineRecord<ConfirmApproverRow>([
  ['tenant_id', 'tenantId', 'text'],
  ['confirm_id', 'confirmId', 'uuid'],
  ['step_id', 'stepId', 'text'],
  ['subject', 'subject', 'text'],
  ['role', 'role', 'text'],
  ['weight', 'weight', 'float8'],
  ['required', 'required', 'boolean'],
  ['position', 'position', 'int'],
  ['state', 'state', 'text'],
  ['vote', 'vote', 'text'],
  ['ballot', 'ballot', 'jsonb'],
  ['delegated_from', 'delegatedFrom', 'text'],
  ['depth', 'depth', 'int'],
  ['level', 'level', 'int'],
  ['due_at', 'dueAt', 'timestamptz'],
  ['waiting_since', 'waitingSince', 'timestamptz'],
  ['decided_at', 'decidedAt', 'timestamptz'],
  ['condition_id', 'conditionId', 'uuid'],
]);

export const decisionRecord = defineRecord<ConfirmDecisionRow>([
  ['tenant_id', 'tenantId', 'text'],
  ['confirm_id', 'confirmId', 'uuid'],
  ['sequence', 'sequence', 'int'],
  ['id', 'id', 'uuid'],
  ['step_id', 'stepId', 'text'],
  ['approver', 'approver', 'text'],
  ['role', 'role', 'text'],
  ['outcome', 'outcome', 'text'],
  ['vote', 'vote', 'text'],
  ['ballot', 'ballot', 'jsonb'],
  ['rationale', 'rationale', 'text'],
  ['conditions', 'conditions', 'jsonb'],
  ['delegate_to', 'delegateTo', 'text'],
  ['risk', 'risk', 'jsonb'],
  ['signature', 'signature', 'text'],
  ['protocol', 'protocol', 'jsonb'],
  ['decided_at', 'decidedAt', 'timestamptz'],
  ['previous_hash', 'previousHash', 'text'],
  ['hash', 'hash', 'text'],
]);

export const confirmColumns = confirmRecord.select('c');
export const approverColumns = approverRecord.select('a');
export const decisionColumns = decisionRecord.select('d');

async function read<Row>(sql: Reader, text: string, parameters: readonly unknown[]): Promise<readonly Row[]> {
  return (await sql.unsafe(text, parameters as never[], { prepare: true })) as unknown as Row[];
}

export interface ConfirmKey {
  readonly tenantId: string;
  readonly id: string;
}

export const keyOf = ({ tenantId, id }: ConfirmKey): string => `${tenantId}/${id}`;

const keysText = 'unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)';
export const keysOf = (keys: readonly ConfirmKey[]) => [keys.map(({ tenantId }) => tenantId), keys.map(({ id }) => id)];

/** Rows by key, locked in the order of their ids. */
export const lockConfirms = (tx: SqlTransaction, keys: readonly ConfirmKey[]) =>
  read<ConfirmRow>(
    tx,
    `SELECT ${confirmColumns} FROM confirm.confirm c WHERE (c.tenant_id, c.id) IN (SELECT tenant_id, id FROM ${keysText}) ORDER BY c.tenant_id, c.id FOR UPDATE`,
    keysOf(keys),
  );

export const findConfirms = (sql: Reader, tenantId: string, ids: readonly string[]) =>
  read<ConfirmRow>(
    sql,
    `SELECT ${confirmColumns} FROM confirm.confirm c WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[])`,
    [tenantId, ids],
  );

export const findApproversOf = (sql: Reader, keys: readonly ConfirmKey[]) =>
  read<ConfirmApproverRow>(
    sql,
    `SELECT ${approverColumns} FROM ${keysText} JOIN confirm.approver a ON a.tenant_id = k.tenant_id AND a.confirm_id = k.id ORDER BY a.confirm_id, a.step_id, a.level, a.position, a.subject`,
    keysOf(keys),
  );

export const findDecisionsOf = (sql: Reader, tenantId: string, confirmIds: readonly string[]) =>
  read<ConfirmDecisionRow>(
    sql,
    `SELECT ${decisionColumns} FROM confirm.decision d WHERE d.tenant_id = $1 AND d.confirm_id = ANY($2::uuid[]) ORDER BY d.confirm_id, d.sequence`,
    [tenantId, confirmIds],
  );

export const findDecisions = (sql: Reader, tenantId: string, ids: readonly string[]) =>
  read<ConfirmDecisionRow>(
    sql,
    `SELECT ${decisionColumns} FROM confirm.decision d WHERE d.tenant_id = $1 AND d.id = ANY($2::uuid[])`,
    [tenantId, ids],
  );

/** A confirm's approvers and decisions, in their order, as JSON: for readers that share a statement. */
export const approverListText = keyedListText(
  `SELECT ${approverColumns} FROM confirm.approver a WHERE a.tenant_id = k.tenant_id AND a.confirm_id = k.id ORDER BY a.step_id, a.level, a.position, a.subject`,
);
export const decisionListText = keyedListText(
  `SELECT ${decisionColumns} FROM confirm.decision d WHERE d.tenant_id = k.tenant_id AND d.confirm_id = k.id ORDER BY d.sequence`,
);

function keyedListText(list: string): string {
  return `SELECT (SELECT json_agg(x) FROM (${list}) x) AS items, k.ord::int AS ord FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS k(tenant_id, id, ord)`;
}

/** Ids of the open confirms that hold these gates, by `tenant/gate`: of clients by their key, of modules by what they asked about. */
export async function findOpenGates(
  sql: Reader,
  gates: readonly { readonly tenantId: string; readonly gateKey: string }[],
): Promise<ReadonlyMap<string, string>> {
  if (gates.length === 0) return new Map();
  const rows = await read<{ tenantId: string; gateKey: string; id: string }>(
    sql,
    `SELECT c.tenant_id AS "tenantId", c.gate_key AS "gateKey", c.id FROM unnest($1::text[], $2::text[]) AS k(tenant_id, gate_key)
     JOIN confirm.confirm c ON c.tenant_id = k.tenant_id AND c.gate_key = k.gate_key AND c.status = 'pending' AND c.gate_key IS NOT NULL
     UNION ALL SELECT c.tenant_id, k.gate_key, c.id FROM unnest($1::text[], $2::text[]) AS k(tenant_id, gate_key)
     JOIN confirm.confirm c ON c.tenant_id = k.tenant_id AND c.target_id = split_part(k.gate_key, ':', 2)::uuid AND c.status = 'pending'
       AND c.gate_key IS NULL AND c.request_event_id IS NOT NULL AND c.target_type = split_part(k.gate_key, ':', 1) AND c.confirmation_type = split_part(k.gate_key, ':', 3)`,
    [gates.map(({ tenantId }) => tenantId), gates.map(({ gateKey }) => gateKey)],
  );
  return new Map(rows.map((row) => [`${row.tenantId}/${row.gateKey}`, row.id]));
}

export async function insertConfirms(tx: SqlTransaction, rows: readonly ConfirmRow[]): Promise<void> {
  await tx.unsafe(
    `INSERT INTO confirm.confirm (${confirmRecord.names}) SELECT ${confirmRecord.from('x')} FROM json_to_recordset($1::text::json) AS x(${confirmRecord.recordset}) ORDER BY x.ord`,
    [JSON.stringify(rows.map(confirmRecord.toRecord))],
    { prepare: true },
  );
}

const updated = [
  'status',
  'phase',
  'reason',
  'resolution',
  'steps',
  'decision_count',
  'chain_head',
  'next_deadline_at',
  'resolved_at',
  'governance',
  'protocol',
  'result',
  'version',
  'updated_at',
  'updated_by',
];

const updateText = (columns: readonly string[]) =>
  `UPDATE confirm.confirm c SET ${columns.map((column) => `${column} = x.${column}`).join(', ')}, claimed_until = NULL
   FROM json_to_recordset($1::text::json) AS x(${confirmRecord.recordset}) WHERE c.tenant_id = x.tenant_id AND c.id = x.id`;
const updateDecidedText = updateText(updated);
const rewriteText = updateText([
  ...updated,
  ...['title', 'description', 'priority', 'urgency', 'requested_at', 'requester', 'subject', 'risk_assessment'],
  ...[
    'impact',
    'attachments',
    'notifications',
    'reference',
    'template_id',
    'template_version',
    'workflow',
    'gate_key',
    'conditions',
    'expires_at',
  ],
]);

/** Stores what deciding changes. */
export async function updateConfirms(tx: SqlTransaction, rows: readonly ConfirmRow[]): Promise<void> {
  await tx.unsafe(updateDecidedText, [JSON.stringify(rows.map(confirmRecord.toRecord))], { prepare: true });
}

/** Stores also what was asked for, its conditions and its time. */
export async function rewriteConfirms(tx: SqlTransaction, rows: readonly ConfirmRow[]): Promise<void> {
  await tx.unsafe(rewriteText, [JSON.stringify(rows.map(confirmRecord.toRecord))], { prepare: true });
}

export async function upsertApprovers(tx: SqlTransaction, rows: readonly ConfirmApproverRow[]): Promise<void> {
  await tx.unsafe(
    `INSERT INTO confirm.approver (${approverRecord.names}) SELECT ${approverRecord.from('x')} FROM json_to_recordset($1::text::json) AS x(${approverRecord.recordset}) ORDER BY x.ord
     ON CONFLICT (tenant_id, confirm_id, step_id, subject) DO UPDATE SET ${approverRecord.assignments(4)}`,
    [JSON.stringify(rows.map(approverRecord.toRecord))],
    { prepare: true },
  );
}

const insertDecisionsText = `INSERT INTO confirm.decision (${decisionRecord.names}, search)
  SELECT ${decisionRecord.from('x')}, to_tsvector('simple', x.title || ' ' || coalesce(x.rationale, ''))
  FROM json_to_recordset($1::text::json) AS x(${decisionRecord.recordset}, title text) ORDER BY x.ord`;

/** Decisions are found by the title of their confirm too, which changes no more once there is one. */
export async function insertDecisions(
  tx: SqlTransaction,
  rows: readonly ConfirmDecisionRow[],
  titleOf: (decision: ConfirmDecisionRow) => string,
): Promise<void> {
  const records = rows.map((row, ord) => ({ ...decisionRecord.toRecord(row, ord), title: titleOf(row) }));
  await tx.unsafe(insertDecisionsText, [JSON.stringify(records)], { prepare: true });
}
