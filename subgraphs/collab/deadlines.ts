import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { expire } from './broadcastMoves.ts';
import { type Calls, systemPrincipal } from './calls.ts';
import { escalate, isOpen, maxLevel } from './conflictFinding.ts';
import { isSitting } from './council/sittings.ts';
import { closeSitting } from './councils.ts';
import type { DecisionRow } from './decisionRows.ts';
import type { Decisions } from './decisions.ts';
import { change, type Draft, list, put, setDeadline, tell } from './draft.ts';
import { expire as expireSession } from './moves.ts';
import { readPart } from './parts.ts';
import { missTurn } from './turnMoves.ts';

/** How long an extension that counts votes and does not answer is waited for until it is asked again, ms. */
const askAgainMs = 60_000;
const maxSweep = 500;

const isDue = (at: string | null, nowMs: number) => at !== null && Date.parse(at) <= nowMs;

/** Looks after what is late. What was done takes its deadline away, so that doing it again does nothing. */
export function createDeadlines(
  { sql, logger }: Pick<ModuleRuntime, 'sql' | 'logger'>,
  { calls, decisions }: { readonly calls: Calls; readonly decisions: Decisions },
) {
  type Custom = Awaited<ReturnType<Decisions['askCustom']>>;

  /** Votes that extensions count and whose time is over, asked before the lock is taken. */
  async function askCustom(
    tenantId: string,
    collabId: string,
    nowMs: number,
  ): Promise<ReadonlyMap<string, Custom | Error>> {
    const open = await readPart(sql, 'decision', 'open', [{ tenantId, collabId }]);
    const due = open.filter(
      ({ status, deadline, rules }) => status === 'voting' && rules.method === 'custom' && isDue(deadline, nowMs),
    );
    const asked = await Promise.all(
      due.map(async ({ id }) => {
        const answer = await decisions.askCustom(systemPrincipal(tenantId), collabId, id).catch((error: unknown) => {
          logger.warn({ decisionId: id, error: String(error) }, 'an extension did not count a vote');
          return error instanceof Error ? error : new Error(String(error));
        });
        return [id, answer] as const;
      }),
    );
    return new Map(asked);
  }

  function closeVoting(draft: Draft, decision: DecisionRow, custom: Custom | Error | undefined): void {
    if (decision.rules.method !== 'custom') {
      decisions.finalise(draft, decision, null);
      return;
    }
    if (custom == null || custom instanceof Error) {
      const isFinal = custom instanceof PlatformError && !custom.retryable;
      if (!isFinal) {
        setDeadline(draft, `decision:${decision.id}`, new Date(draft.atMs + askAgainMs).toISOString());
        return;
      }
      // Nothing will ever count it: it ends undecided, and says why.
      const ended = put(draft, 'decision', {
        ...decision,
        status: 'decided',
        outcome: 'expired',
        note: custom.message,
        decidedAt: draft.at,
        version: decision.version + 1,
      });
      setDeadline(draft, `decision:${decision.id}`, null);
      tell(draft, 'collab.decision.decided', { decision: ended });
      return;
    }
    decisions.finalise(draft, decision, custom);
  }

  async function meetOne(tenantId: string, collabId: string): Promise<void> {
    const custom = await askCustom(tenantId, collabId, Date.now());
    await calls.runAs(
      tenantId,
      collabId,
      {
        action: 'collab.deadline',
        needs: {
          participant: 'all',
          turn: 'open',
          task: 'open',
          broadcast: 'open',
          decision: 'open',
          ballot: 'open',
          council: 'open',
          conflict: 'open',
          resource: 'all',
        },
      },
      (draft) => {
        const { collab, atMs } = draft;
        if (collab.status !== 'active' && collab.status !== 'suspended') return null;
        if (!isDue(collab.nextDeadlineAt, atMs)) return null;
        const isOver = isDue(collab.deadlines['session'] ?? null, atMs);
        if (collab.status === 'suspended') {
          if (isOver) expireSession(draft);
          // Of rows of before, which told what is not looked at while it is suspended.
          else change(draft, {});
          return { collabId };
        }
        for (const broadcast of list(draft, 'broadcast'))
          if (broadcast.status === 'open' && isDue(broadcast.dueAt, atMs)) expire(draft, broadcast);
        for (const decision of list(draft, 'decision'))
          if (decision.status === 'voting' && isDue(decision.deadline, atMs))
            closeVoting(draft, decision, custom.get(decision.id));
        for (const council of list(draft, 'council'))
          if (isSitting(council) && isDue(council.endsAt, atMs)) closeSitting(draft, council);
        for (const conflict of list(draft, 'conflict'))
          if (isOpen(conflict) && conflict.level < maxLevel && isDue(conflict.levelDueAt, atMs))
            escalate(draft, conflict, 'timeout');
        // Last: a round that nobody took suspends the session.
        for (const turn of list(draft, 'turn'))
          if (turn.status === 'dispatched' && isDue(turn.dueAt, atMs)) missTurn(draft, turn);
        // What fell due with it has been met: votings are counted, then it ends.
        if (isOver && draft.collab.status !== 'cancelled') expireSession(draft);
        // What is over and was not found (imported, or of another time) is not looked at for ever.
        for (const [key, at] of Object.entries(draft.collab.deadlines))
          if (isDue(at, atMs) && draft.collab.deadlines[key] === at) setDeadline(draft, key, null);
        return { collabId };
      },
    );
  }

  return {
    meetOne,

    /** Collaborations with something due until then, soonest first. */
    findDue: (untilMs: number) => findDue(sql, untilMs),

    /** Once a minute: what timers and jobs missed. */
    async sweep(): Promise<void> {
      for (const { tenantId, collabId } of await findDue(sql, Date.now()))
        await meetOne(tenantId, collabId).catch((error: unknown) =>
          logger.warn({ collabId, error: String(error) }, 'a deadline could not be met; it is tried again'),
        );
    },
  };
}

export type Deadlines = ReturnType<typeof createDeadlines>;

async function findDue(
  sql: Sql,
  untilMs: number,
): Promise<readonly { tenantId: string; collabId: string; at: Date }[]> {
  return (await sql.unsafe(
    `SELECT tenant_id AS "tenantId", id AS "collabId", next_deadline_at AS at FROM collab.collaboration
     WHERE next_deadline_at <= $1::text::timestamptz AND status IN ('active', 'suspended') ORDER BY next_deadline_at LIMIT ${maxSweep}`,
    [new Date(untilMs).toISOString()],
    { prepare: true },
  )) as unknown as { tenantId: string; collabId: string; at: Date }[];
}
