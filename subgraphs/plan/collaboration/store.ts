import { isoText } from '#shared/record.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ContributionRow, SessionRow, VoteRow } from './rows.ts';

type Db = Sql | SqlTransaction;

async function read<Row>(db: Db, text: string, parameters: readonly unknown[]): Promise<Row[]> {
  return (await db.unsafe(text, parameters as never[], { prepare: true })) as unknown as Row[];
}

export const sessionColumns = `s.tenant_id AS "tenantId", s.id, s.plan_id AS "planId", s.context_id AS "contextId", s.status, s.outcome,
  s.status_reason AS "statusReason", s.participants, s.threshold, s.quorum, ${isoText('s.deadline_at')} AS "deadlineAt", s.version,
  ${isoText('s.created_at')} AS "createdAt", s.created_by AS "createdBy", ${isoText('s.closed_at')} AS "closedAt"`;

export const contributionColumns = `c.tenant_id AS "tenantId", c.id, c.session_id AS "sessionId", c.plan_id AS "planId", c.author, c.rationale, c.status,
  c.outcome, c.plan_version AS "planVersion", c.revision, c.change, c.undo_of AS "undoOf", c.electorate, c.before, c.after, c.trail,
  c.applied_version AS "appliedVersion", ${isoText('c.created_at')} AS "createdAt", ${isoText('c.decided_at')} AS "decidedAt", c.ordinal`;

const voteColumns = `v.tenant_id AS "tenantId", v.contribution_id AS "contributionId", v.revision, v.subject, v.plan_id AS "planId", v.vote, v.weight,
  v.comment, ${isoText('v.cast_at')} AS "castAt"`;

export function findSessions(db: Db, tenantId: string, ids: readonly string[]): Promise<SessionRow[]> {
  return read(db, `SELECT ${sessionColumns} FROM plan.session s WHERE s.tenant_id = $1 AND s.id = ANY($2::uuid[])`, [
    tenantId,
    ids,
  ]);
}

/** A session and whether its time is over, by the database's clock. */
export type TimedSession = SessionRow & { readonly isDue: boolean };

/** Under the plan's lock alone: that orders everything in its sessions. */
export async function findTimedSession(
  tx: SqlTransaction,
  tenantId: string,
  by: { readonly id: string } | { readonly openOfPlan: string },
): Promise<TimedSession | null> {
  const [row] = await read<TimedSession>(
    tx,
    `SELECT ${sessionColumns}, s.deadline_at <= clock_timestamp() AS "isDue" FROM plan.session s
     WHERE s.tenant_id = $1 AND ${'id' in by ? 's.id = $2' : `s.plan_id = $2 AND s.status = 'OPEN'`}`,
    [tenantId, 'id' in by ? by.id : by.openOfPlan],
  );
  return row ?? null;
}

/** @returns null where the plan has an open one. */
export async function insertSession(
  tx: SqlTransaction,
  session: Pick<
    SessionRow,
    'tenantId' | 'id' | 'planId' | 'contextId' | 'participants' | 'threshold' | 'quorum' | 'createdBy'
  >,
  timeLimitMs: number,
): Promise<SessionRow | null> {
  const [row] = await read<SessionRow>(
    tx,
    `INSERT INTO plan.session AS s (tenant_id, id, plan_id, context_id, status, participants, threshold, quorum, deadline_at, created_by)
     VALUES ($1, $2, $3, $4, 'OPEN', $5::text::jsonb, $6, $7, clock_timestamp() + $8::float8 * interval '1 millisecond', $9)
     ON CONFLICT (tenant_id, plan_id) WHERE status = 'OPEN' DO NOTHING RETURNING ${sessionColumns}`,
    [
      ...[session.tenantId, session.id, session.planId, session.contextId, JSON.stringify(session.participants)],
      ...[session.threshold, session.quorum, timeLimitMs, session.createdBy],
    ],
  );
  return row ?? null;
}

export async function updateSession(
  tx: SqlTransaction,
  session: Pick<SessionRow, 'tenantId' | 'id' | 'status' | 'outcome' | 'statusReason' | 'participants'>,
): Promise<SessionRow> {
  const [row] = await read<SessionRow>(
    tx,
    `UPDATE plan.session s SET status = $3, outcome = $4, status_reason = $5, participants = $6::text::jsonb, version = s.version + 1,
       closed_at = CASE WHEN $3 = 'OPEN' THEN NULL ELSE clock_timestamp() END
     WHERE s.tenant_id = $1 AND s.id = $2 RETURNING ${sessionColumns}`,
    [
      ...[session.tenantId, session.id, session.status, session.outcome, session.statusReason],
      JSON.stringify(session.participants),
    ],
  );
  return row!;
}

export function findContributions(db: Db, tenantId: string, ids: readonly string[]): Promise<ContributionRow[]> {
  return read(
    db,
    `SELECT ${contributionColumns} FROM plan.contribution c WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[])`,
    [tenantId, ids],
  );
}

export function findOpenContributions(tx: SqlTransaction, session: SessionRow): Promise<ContributionRow[]> {
  return read(
    tx,
    `SELECT ${contributionColumns} FROM plan.contribution c WHERE c.tenant_id = $1 AND c.session_id = $2 AND c.status = 'OPEN' ORDER BY c.ordinal`,
    [session.tenantId, session.id],
  );
}

export async function insertContribution(
  tx: SqlTransaction,
  row: Omit<
    ContributionRow,
    'status' | 'outcome' | 'revision' | 'trail' | 'appliedVersion' | 'createdAt' | 'decidedAt' | 'ordinal'
  >,
): Promise<ContributionRow> {
  const [stored] = await read<ContributionRow>(
    tx,
    `INSERT INTO plan.contribution AS c (tenant_id, id, session_id, plan_id, author, rationale, status, plan_version, change, undo_of, electorate, before, after)
     SELECT "tenantId", id, "sessionId", "planId", author, rationale, 'OPEN', "planVersion", change, "undoOf", electorate, before, after
     FROM json_to_record($1::text::json) AS x("tenantId" text, id uuid, "sessionId" uuid, "planId" uuid, author text, rationale text, "planVersion" int,
       change jsonb, "undoOf" uuid, electorate jsonb, before jsonb, after jsonb) RETURNING ${contributionColumns}`,
    [JSON.stringify(row)],
  );
  return stored!;
}

/** Takes over what of it can change. */
export async function updateContribution(tx: SqlTransaction, row: ContributionRow): Promise<ContributionRow> {
  const [stored] = await read<ContributionRow>(
    tx,
    `UPDATE plan.contribution c SET status = x.status, outcome = x.outcome, plan_version = x."planVersion", revision = x.revision, change = x.change,
       electorate = x.electorate, before = x.before, after = x.after, trail = x.trail, applied_version = x."appliedVersion",
       decided_at = CASE WHEN x.status = 'OPEN' THEN NULL ELSE COALESCE(c.decided_at, clock_timestamp()) END
     FROM json_to_record($1::text::json) AS x("tenantId" text, id uuid, status text, outcome text, "planVersion" int, revision int, change jsonb,
       electorate jsonb, before jsonb, after jsonb, trail jsonb, "appliedVersion" int)
     WHERE c.tenant_id = x."tenantId" AND c.id = x.id RETURNING ${contributionColumns}`,
    [JSON.stringify(row)],
  );
  return stored!;
}

/** Votes on contributions, each of the revision that it is at, in the order in which they were cast. */
export function findVotes(db: Db, tenantId: string, contributionIds: readonly string[]): Promise<VoteRow[]> {
  return read(
    db,
    `SELECT ${voteColumns} FROM plan.contribution_vote v JOIN plan.contribution c ON c.tenant_id = v.tenant_id AND c.id = v.contribution_id AND c.revision = v.revision
     WHERE v.tenant_id = $1 AND v.contribution_id = ANY($2::uuid[]) ORDER BY v.contribution_id, v.cast_at, v.subject`,
    [tenantId, contributionIds],
  );
}

/** @returns null where the subject has voted before. */
export async function insertVote(tx: SqlTransaction, vote: Omit<VoteRow, 'castAt'>): Promise<VoteRow | null> {
  const [row] = await read<VoteRow>(
    tx,
    `INSERT INTO plan.contribution_vote AS v (tenant_id, contribution_id, revision, subject, plan_id, vote, weight, comment)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING ${voteColumns}`,
    [
      ...[vote.tenantId, vote.contributionId, vote.revision, vote.subject, vote.planId],
      ...[vote.vote, vote.weight, vote.comment],
    ],
  );
  return row ?? null;
}

/** How many open sessions a tenant has; one counter at a time, until the transaction ends. */
export async function countOpenSessions(tx: SqlTransaction, tenantId: string): Promise<number> {
  await read(tx, 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`plan.session ${tenantId}`]);
  const [row] = await read<{ count: number }>(
    tx,
    `SELECT count(*)::int AS count FROM plan.session WHERE tenant_id = $1 AND status = 'OPEN'`,
    [tenantId],
  );
  return row!.count;
}

/** Open sessions of all tenants whose time is over. */
export function findDueSessions(db: Db): Promise<{ readonly tenantId: string; readonly sessionId: string }[]> {
  return read(
    db,
    `SELECT tenant_id AS "tenantId", id AS "sessionId" FROM plan.session WHERE status = 'OPEN' AND deadline_at <= now() ORDER BY deadline_at LIMIT 200`,
    [],
  );
}
