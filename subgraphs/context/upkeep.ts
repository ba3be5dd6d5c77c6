import { z } from 'zod';
import { createRequestScope, type RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { appendChange, type NewAudit, type NewEvent } from '#shared/outbox.ts';
import { createPrincipal } from '#shared/principal.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { type LimitOf, seatWaiting } from './admission.ts';
import { moveContext, timerJobs } from './changes.ts';
import { participantColumns, sessionColumns } from './children.ts';
import type { CommandRunner, ContextCommand } from './commands.ts';
import type { Changed, ChangeOptions } from './contextChanges.ts';
import { undoDays } from './deletion.ts';
import { participantEvent, sessionEvent } from './events.ts';
import { isTakingPart } from './participantRules.ts';
import type { ContextParticipantRow, ContextRow, ContextSessionRow } from './rows.ts';
import { isOpen } from './states.ts';
import { lockContexts } from './store.ts';

/** Closed contexts become archived after this many days. */
export const archiveAfterDays = 30;
const idleMinutes = 30;
const pageSize = 200;

const target = z.object({ tenantId: z.string(), contextId: z.string() });
const sessionTarget = target.extend({ sessionId: z.string() });

export type UpkeepTarget = z.output<typeof target>;

type ChangeCommand = (
  scope: RequestScope,
  contextId: string,
  options: ChangeOptions,
  change: (current: ContextRow) => Changed | null,
) => ContextCommand;

export interface UpkeepDeps {
  readonly commands: CommandRunner;
  readonly changeCommand: ChangeCommand;
  readonly limitOf: LimitOf;
}

/** What time does to contexts. Every step looks again at what is locked, so doing it twice, or in two places, changes nothing more. */
export function createUpkeep(runtime: ModuleRuntime, { commands, changeCommand, limitOf }: UpkeepDeps) {
  const { sql, publisher, logger } = runtime;

  function systemScope(tenantId: string): RequestScope {
    const principal = createPrincipal({
      tenantId,
      subject: 'system:context',
      subjectType: 'service',
      scopes: ['context:*'],
    });
    const traceId = newId().replaceAll('-', '');
    return createRequestScope({
      principal,
      correlationId: newId(),
      traceparent: `00-${traceId}-${newId().replaceAll('-', '').slice(0, 16)}-01`,
    });
  }

  /** Runs a change that finds its own reasons; a context that is gone, locked or archived meanwhile is left alone. */
  async function change(
    { tenantId, contextId }: UpkeepTarget,
    operation: string,
    decide: (current: ContextRow, scope: RequestScope) => Changed | null,
  ): Promise<boolean> {
    const scope = systemScope(tenantId);
    try {
      const options = { operation, input: null, countsUsage: true, override: null };
      const command = changeCommand(scope, contextId, options, (current) => decide(current, scope));
      let changed = false;
      await commands.run({
        ...command,
        decide(current, usage) {
          const outcome = command.decide(current, usage);
          changed = outcome.row !== null;
          return outcome;
        },
      });
      return changed;
    } catch (error) {
      if (
        error instanceof PlatformError &&
        ['NOT_FOUND', 'GOVERNANCE_LOCKED', 'INVALID_STATE', 'INVALID_STATE_TRANSITION'].includes(error.code)
      )
        return false;
      throw error;
    }
  }

  /** Closes a context whose time is over. */
  function expire(given: UpkeepTarget): Promise<boolean> {
    return change(given, 'expire', (current, scope) => {
      if (!isOpen(current.status) || current.expiresAt === null || Date.parse(current.expiresAt) > Date.now())
        return null;
      const changes: Record<string, unknown> = {};
      const row = moveContext(current, 'closed', scope.principal, 'timeout', changes);
      return { row, changes, jobs: timerJobs(row) };
    });
  }

  function archive(given: UpkeepTarget): Promise<boolean> {
    return change(given, 'archive', (current, scope) => {
      if (
        current.status !== 'closed' ||
        current.closedAt === null ||
        Date.parse(current.closedAt) > Date.now() - archiveAfterDays * 86_400_000
      )
        return null;
      const changes: Record<string, unknown> = {};
      return { row: moveContext(current, 'archived', scope.principal, null, changes), changes };
    });
  }

  /** Runs work on the locked row of a context, deleted or not, and tells of it; `audit` takes what the work has to add of its own. */
  async function within(
    { tenantId, contextId }: UpkeepTarget,
    work: (tx: SqlTransaction, context: ContextStanding, audit: NewAudit[]) => Promise<readonly NewEvent[]>,
  ): Promise<number> {
    const scope = systemScope(tenantId);
    const events = await transactionRetry.execute(() =>
      sql.begin(async (tx) => {
        const [context] = (await tx.unsafe(
          `SELECT status, deleted_at AS "deletedAt", closed_at AS "closedAt", configuration FROM context.context WHERE tenant_id = $1 AND id = $2 FOR UPDATE`,
          [tenantId, contextId],
          { prepare: true },
        )) as unknown as ContextStanding[];
        if (!context) return [];
        const own: NewAudit[] = [];
        const found = await work(tx, context, own);
        if (found.length === 0) return [];
        return appendChange(tx, 'context', [
          {
            tenantId,
            actor: scope.principal.subject,
            traceparent: scope.traceparent,
            events: found,
            audit: [
              ...own,
              {
                action: 'context.upkeep',
                resource: 'Context',
                resourceId: contextId,
                detail: { events: found.map(({ type }) => type) },
              },
            ],
          },
        ]);
      }),
    );
    await publisher.published(events);
    return events.length;
  }

  /** Ends every open session, lets every participant go, and refuses who still asks to join: that one took no place. */
  async function endMembers(
    tx: SqlTransaction,
    { tenantId, contextId }: UpkeepTarget,
    reason: string,
  ): Promise<NewEvent[]> {
    const gone = (await tx.unsafe(
      `WITH was AS (
         SELECT tenant_id, id, status FROM context.participant WHERE tenant_id = $1 AND context_id = $2 AND status <> 'LEFT' ORDER BY tenant_id, id FOR UPDATE
       ), p AS (
         UPDATE context.participant u SET status = 'LEFT', left_at = now(), version = u.version + 1 FROM was WHERE u.tenant_id = was.tenant_id AND u.id = was.id RETURNING u.*, was.status AS was
       ) SELECT ${participantColumns}, p.was FROM p ORDER BY p.joined_at, p.id`,
      [tenantId, contextId],
      { prepare: true },
    )) as unknown as (ContextParticipantRow & { readonly was: ContextParticipantRow['status'] })[];
    const members = gone.filter(({ was }) => isTakingPart({ status: was }));
    const sessions = (await tx.unsafe(
      `WITH p AS (UPDATE context.session SET status = CASE status WHEN 'INITIALIZING' THEN 'FAILED' ELSE 'COMPLETED' END, ended_at = now(), active_participant_ids = '{}', version = version + 1
                  WHERE tenant_id = $1 AND context_id = $2 AND ended_at IS NULL RETURNING *) SELECT ${sessionColumns} FROM p`,
      [tenantId, contextId],
      { prepare: true },
    )) as unknown as ContextSessionRow[];
    if (members.length + sessions.length > 0) {
      await tx.unsafe(
        'UPDATE context.context SET participant_count = participant_count - $3, session_count = session_count - $4 WHERE tenant_id = $1 AND id = $2',
        [tenantId, contextId, members.length, sessions.length],
        { prepare: true },
      );
    }
    return [
      ...sessions.map((row) => sessionEvent('context.session.ended', row, reason)),
      ...gone.map(({ was, ...row }) =>
        participantEvent(`context.participant.${was === 'JOINING' ? 'refused' : 'left'}`, row, reason),
      ),
    ];
  }

  /** Lets in who was let in before and found no place, where there is one now. */
  const seat = (given: UpkeepTarget) =>
    within(given, async (tx, _context, audit) => {
      const contexts = await lockContexts(tx, [{ tenantId: given.tenantId, id: given.contextId }]);
      const seated = await seatWaiting(tx, contexts, limitOf);
      audit.push(...seated.map((admission) => admission.audit));
      return seated.map(({ event }) => event);
    });

  /** After a deletion: everyone leaves, sessions end. Metadata and state stay until the undo time is over. */
  const cascadeDelete = (given: UpkeepTarget) =>
    within(given, async (tx, context) => (context.deletedAt === null ? [] : endMembers(tx, given, 'deleted')));

  /** The clearing away after a context has closed. */
  const cleanUp = (given: UpkeepTarget) =>
    within(given, async (tx, context) =>
      context.status !== 'closed' || !context.configuration.autoCleanup ? [] : endMembers(tx, given, 'closed'),
    );

  const endSession = (given: z.output<typeof sessionTarget>) =>
    within(given, async (tx) => {
      const ended = (await tx.unsafe(
        `WITH p AS (UPDATE context.session SET status = CASE status WHEN 'INITIALIZING' THEN 'FAILED' ELSE 'COMPLETED' END, ended_at = now(), active_participant_ids = '{}', version = version + 1
                    WHERE tenant_id = $1 AND context_id = $2 AND id = $3 AND ended_at IS NULL AND started_at + max_duration_ms * interval '1 millisecond' <= now() RETURNING *) SELECT ${sessionColumns} FROM p`,
        [given.tenantId, given.contextId, given.sessionId],
        { prepare: true },
      )) as unknown as ContextSessionRow[];
      if (ended.length > 0)
        await tx.unsafe(
          'UPDATE context.context SET session_count = session_count - $3 WHERE tenant_id = $1 AND id = $2',
          [given.tenantId, given.contextId, ended.length],
          { prepare: true },
        );
      return ended.map((row) => sessionEvent('context.session.ended', row, 'timeout'));
    });

  /** Removes for good what was deleted longer ago than it can be brought back. */
  async function purge({ tenantId, contextId }: UpkeepTarget): Promise<void> {
    await sql.unsafe(
      `DELETE FROM context.context WHERE tenant_id = $1 AND id = $2 AND deleted_at <= now() - interval '${undoDays} days'`,
      [tenantId, contextId],
      { prepare: true },
    );
  }

  /** Marks participants that did nothing for 30 minutes. */
  async function markIdle(): Promise<number> {
    let marked = 0;
    for (;;) {
      const { events, found } = await sql.begin(async (tx) => {
        const rows = (await tx.unsafe(
          `WITH stale AS (
             SELECT tenant_id, id FROM context.participant WHERE status = 'ACTIVE' AND last_activity_at < now() - interval '${idleMinutes} minutes' ORDER BY last_activity_at LIMIT ${pageSize} FOR UPDATE SKIP LOCKED
           ), p AS (UPDATE context.participant u SET status = 'INACTIVE' FROM stale s WHERE u.tenant_id = s.tenant_id AND u.id = s.id RETURNING u.*) SELECT ${participantColumns} FROM p ORDER BY p.context_id`,
          [],
        )) as unknown as ContextParticipantRow[];
        const changes = rows.map((row) => ({
          tenantId: row.tenantId,
          actor: 'system:context',
          events: [participantEvent('context.participant.updated', row, 'idle')],
        }));
        return { events: changes.length === 0 ? [] : await appendChange(tx, 'context', changes), found: rows.length };
      });
      await publisher.published(events);
      marked += found;
      if (found < pageSize) return marked;
    }
  }

  async function prune(): Promise<void> {
    await sql.unsafe(`DELETE FROM context.metadata_version WHERE replaced_at < now() - interval '30 days'`);
    // A deletion in the shared state only has to outlive the writers that have not heard of it.
    await sql.unsafe(`DELETE FROM context.shared_key WHERE value IS NULL AND changed_at < now() - interval '7 days'`);
  }

  const rowsOf = async (where: string) =>
    (await sql.unsafe(
      `SELECT tenant_id AS "tenantId", id AS "contextId" FROM context.context WHERE ${where} LIMIT ${pageSize}`,
    )) as unknown as UpkeepTarget[];

  /** Contexts that are due to expire until then; locked ones wait for who unlocks them. */
  async function findExpiring(untilMs: number): Promise<readonly (UpkeepTarget & { readonly expiresAt: Date })[]> {
    return (await sql.unsafe(
      `SELECT tenant_id AS "tenantId", id AS "contextId", expires_at AS "expiresAt" FROM context.context
       WHERE status IN ('draft', 'active', 'suspended') AND deleted_at IS NULL AND expires_at <= $1::text::timestamptz AND governance->>'locked' IS DISTINCT FROM 'true' ORDER BY expires_at LIMIT ${pageSize}`,
      [new Date(untilMs).toISOString()],
      { prepare: true },
    )) as unknown as (UpkeepTarget & { expiresAt: Date })[];
  }

  /** Finds whatever the timers missed: a job that was lost, a process that was down. */
  async function sweep(): Promise<void> {
    for (const due of await findExpiring(Date.now())) await expire(due);
    for (const due of await rowsOf(
      `status = 'closed' AND deleted_at IS NULL AND closed_at <= now() - interval '${archiveAfterDays} days'`,
    ))
      await archive(due);
    for (const due of await rowsOf(
      `(tenant_id, id) IN (SELECT p.tenant_id, p.context_id FROM context.participant p WHERE p.status = 'JOINING' AND p.approved_at IS NOT NULL)
       AND deleted_at IS NULL AND participant_count < (configuration->>'maxParticipants')::int`,
    ))
      await seat(due);
    for (const due of await rowsOf(`deleted_at <= now() - interval '${undoDays} days'`)) await purge(due);
    const marked = await markIdle();
    await prune();
    logger.debug({ marked }, 'contexts looked after');
  }

  return {
    expire,
    archive,
    cascadeDelete,
    cleanUp,
    endSession,
    seat,
    purge,
    markIdle,
    prune,
    sweep,
    findExpiring,
    parseTarget: (payload: unknown) => target.parse(payload),
    parseSession: (payload: unknown) => sessionTarget.parse(payload),
  };
}

interface ContextStanding {
  readonly status: string;
  readonly deletedAt: Date | null;
  readonly closedAt: Date | null;
  readonly configuration: ContextRow['configuration'];
}

export type Upkeep = ReturnType<typeof createUpkeep>;
