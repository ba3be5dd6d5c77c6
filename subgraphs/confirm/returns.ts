import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { SubgraphName } from '../names.ts';
import type { CommandRunner } from './commands.ts';
import { isBarred } from './deciders.ts';
import type { FindAble } from './delegates.ts';
import { systemPrincipal } from './directory.ts';
import { approverOf, createDraft, type Draft, putApprover, stepOf, tell } from './draft.ts';
import { systemSubject } from './engine.ts';
import { levelsOf, moveUp, type ResolvedLevels } from './levels.ts';
import type { Routing } from './routing.ts';
import type { ConfirmApproverRow, ConfirmRow } from './rows.ts';
import { findApproversOf, findConfirms } from './store.ts';

/** After these of the role module somebody may have lost a right. */
export const rightsTypes: Partial<Record<SubgraphName, readonly string[]>> = {
  role: [
    ...['role.assigned', 'role.revoked', 'role.assignment.changed'],
    ...['role.delegated', 'role.delegation.changed', 'role.delegation.revoked'],
    ...['role.updated', 'role.status.changed', 'role.deleted', 'permission.granted', 'permission.revoked'],
    ...['permission.request.revoked', 'permission.request.expired', 'subject.updated'],
  ],
};

/** Confirms that are looked at together. */
const pageSize = 200;

interface ReturnsDeps {
  readonly commands: CommandRunner;
  readonly routing: Routing;
  readonly findAble: FindAble;
}

/**
 * Parts that were passed on to somebody who may decide no more go back to the nearest one of those who passed them on and
 * still may; where none may, their step goes to its next level.
 */
export function createReturns({ sql, logger }: Pick<ModuleRuntime, 'sql' | 'logger'>, deps: ReturnsDeps) {
  const { commands, routing, findAble } = deps;

  async function findDelegated(tenantId: string, after: string | null): Promise<readonly string[]> {
    const rows = (await sql.unsafe(
      `SELECT DISTINCT a.confirm_id AS id FROM confirm.approver a
       WHERE a.tenant_id = $1 AND a.delegated_from IS NOT NULL AND a.state IN ('waiting', 'queued') AND ($2::uuid IS NULL OR a.confirm_id > $2::uuid)
       ORDER BY a.confirm_id LIMIT ${pageSize}`,
      [tenantId, after],
      { prepare: true },
    )) as unknown as { id: string }[];
    return rows.map(({ id }) => id);
  }

  /** Gives back what has to be, and answers the delegates that may not decide as it is now. */
  async function look(confirm: ConfirmRow, approvers: readonly ConfirmApproverRow[]): Promise<readonly string[]> {
    const delegates = approvers.filter(isDelegated).map(({ subject }) => subject);
    if (delegates.length === 0) return [];
    const givers = approvers.filter(({ state }) => state === 'delegated').map(({ subject }) => subject);
    const asked = new Set([...delegates, ...givers]);
    const able = await findAble(confirm, [...asked]);
    const lost = delegates.filter((subject) => !able.has(subject));
    if (lost.length === 0) return lost;
    const levels = await levelsOf(routing, confirm, () => true);
    await commands.run({
      scope: null,
      principal: systemPrincipal(confirm.tenantId),
      confirmId: confirm.id,
      idempotent: null,
      gateKey: null,
      action: 'confirm.return',
      decide(current, atMs) {
        // What governance has locked changes by an override alone.
        if (current?.confirm.status !== 'pending' || current.confirm.governance?.locked === true) return null;
        const draft = createDraft(current.confirm, current.approvers, { atMs });
        // Of whom a part was passed on to meanwhile nothing was asked here: passing it on asked.
        for (const part of current.approvers)
          if (isDelegated(part) && asked.has(part.subject) && !able.has(part.subject))
            giveBack(draft, part, { able, levels });
        if (draft.told.length > 0) return draft;
        logger.warn({ confirmId: confirm.id }, 'a delegate may decide no more, and nobody else can take the part');
        return null;
      },
    });
    return lost;
  }

  return {
    /** Looks at what the tenant's delegates have to decide. */
    async check(tenantId: string): Promise<void> {
      for (let after: string | null = null; ; ) {
        const ids = await findDelegated(tenantId, after);
        await this.checkConfirms(tenantId, ids);
        if (ids.length < pageSize) return;
        after = ids.at(-1)!;
      }
    },

    /** The same for every tenant: what time alone takes, nobody tells. */
    async checkAll(): Promise<void> {
      const rows = (await sql.unsafe(
        `SELECT DISTINCT tenant_id AS id FROM confirm.approver WHERE delegated_from IS NOT NULL AND state IN ('waiting', 'queued') ORDER BY tenant_id`,
        [],
        { prepare: true },
      )) as unknown as { id: string }[];
      for (const { id } of rows) await this.check(id);
    },

    /** Looks at these alone; answers the parts, by `partKey`, of delegates who may not decide as it is now. */
    async checkConfirms(tenantId: string, ids: readonly string[]): Promise<ReadonlySet<string>> {
      const lost = new Set<string>();
      if (ids.length === 0) return lost;
      const confirms = (await findConfirms(sql, tenantId, ids)).filter(({ status }) => status === 'pending');
      if (confirms.length === 0) return lost;
      const approvers = Map.groupBy(await findApproversOf(sql, confirms), ({ confirmId }) => confirmId);
      for (const confirm of confirms)
        for (const subject of await look(confirm, approvers.get(confirm.id) ?? []))
          lost.add(partKey({ confirmId: confirm.id, subject }));
      return lost;
    },

    /**
     * For who is about to show them: the same of those parts that were passed on. Where nobody can be asked, as if all
     * might still decide.
     */
    async findLost(tenantId: string, parts: readonly ConfirmApproverRow[]): Promise<ReadonlySet<string>> {
      const ids = [...new Set(parts.filter(isDelegated).map(({ confirmId }) => confirmId))];
      try {
        return await this.checkConfirms(tenantId, ids);
      } catch (error) {
        logger.warn({ error: String(error) }, 'whether delegates may still decide could not be asked');
        return new Set();
      }
    },
  };
}

/** One's part in a confirm. */
export const partKey = ({ confirmId, subject }: Pick<ConfirmApproverRow, 'confirmId' | 'subject'>) =>
  `${confirmId}/${subject}`;

/** The parts as they count where some are of delegates who may decide no more: as if they had been given back. */
export function withoutLost(
  approvers: readonly ConfirmApproverRow[],
  lost: ReadonlySet<string>,
): readonly ConfirmApproverRow[] {
  if (lost.size === 0) return approvers;
  return approvers.map((row) => (isDelegated(row) && lost.has(partKey(row)) ? { ...row, state: 'closed' } : row));
}

export type Returns = ReturnType<typeof createReturns>;

const isDelegated = ({ delegatedFrom, state }: ConfirmApproverRow) =>
  delegatedFrom !== null && (state === 'waiting' || state === 'queued');

function giveBack(
  draft: Draft,
  part: ConfirmApproverRow,
  { able, levels }: { readonly able: ReadonlySet<string>; readonly levels: ResolvedLevels },
): void {
  const { stepId } = part;
  const passed = [part];
  for (let from = part.delegatedFrom; from !== null && passed.length <= draft.approvers.size; ) {
    const giver = approverOf(draft, stepId, from);
    if (giver?.state !== 'delegated') break;
    if (able.has(giver.subject) && !isBarred(draft.confirm, giver.subject)) {
      for (const row of passed) putApprover(draft, { ...row, state: 'closed', decidedAt: draft.at });
      const { state, dueAt } = part;
      const waitingSince = state === 'waiting' ? draft.at : null;
      putApprover(draft, { ...giver, state, dueAt, waitingSince, decidedAt: null });
      tell(draft, 'confirm.returned', { stepId, subject: part.subject, returnedTo: giver.subject });
      return;
    }
    passed.push(giver);
    from = giver.delegatedFrom;
  }
  const step = stepOf(draft, stepId);
  if (step?.status !== 'active') return;
  const reason = `${part.subject} may decide no more`;
  moveUp(draft, step, levels.get(stepId) ?? [], { actor: systemSubject, role: 'system', reason });
}
