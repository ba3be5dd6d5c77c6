import { PlatformError } from '#shared/errors.ts';
import type { NewAudit, NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { isListed, isOwnerOrAdmin, isPrivate, requireListedTo } from './access.ts';
import { requirePolicies } from './accessRights.ts';
import { type LimitOf, seatWaiting } from './admission.ts';
import { participantEvent, sessionEvent } from './events.ts';
import { type Citation, citeConfirm, type OverrideClaim, requireUnlocked, storeCitations } from './governance.ts';
import type { Decision, GroupCommand } from './groupCommit.ts';
import { isTakingPart } from './participantRules.ts';
import { countWaiting, leaveSessions, lockParticipants, upsertParticipants, writeCounts } from './participantStore.ts';
import type { ContextParticipantRow, ContextRow } from './rows.ts';
import { nowText, unknownContext } from './rules.ts';
import { lockContexts } from './store.ts';

/** A write is noted as its author's activity once in this time. */
const activityNoteMs = 60_000;

/** The participants a command asked for, as they stand within the transaction. */
export interface Members {
  /** The agent's participation at present. */
  presentAs(agentId: string): ContextParticipantRow | undefined;
  byId(participantId: string): ContextParticipantRow | undefined;
  /** How many ask to join; 0 where nobody has to ask. */
  readonly waiting: number;
}

/** What a command makes of a participant. */
export interface ParticipantOutcome {
  readonly participant: ContextParticipantRow;
  /** Null when nothing changes. */
  readonly told: { readonly event: NewEvent; readonly audit: NewAudit; readonly asks?: NewEvent } | null;
}

/** One mutation of a context's participants, decided on the locked context. */
export interface ParticipantCommand extends GroupCommand {
  readonly contextId: string;
  readonly override: OverrideClaim | null;
  /** Whom it is about, beside its author. */
  readonly about: { readonly agentId?: string; readonly participantId?: string };
  /** True for who may act on a private context without taking part in it: the bearer of its join token. */
  readonly admits?: (context: ContextRow) => boolean;
  /** Pure but for its clock. @throws {PlatformError} to refuse. */
  readonly decide: (context: ContextRow, members: Members) => ParticipantOutcome;
}

export interface ParticipantChange {
  readonly participantId: string;
  /** Null when an earlier call with the same key did the work: both are read as they stand. */
  readonly after: {
    readonly participant: ContextParticipantRow;
    /** Null for who does not see the context any more. */
    readonly context: ContextRow | null;
  } | null;
}

/** Contexts and participants under their locks, with what commands have made of them so far. */
function createRoster(
  contexts: readonly ContextRow[],
  participants: readonly ContextParticipantRow[],
  waiting: Map<string, number>,
) {
  const key = (...parts: readonly string[]) => parts.join('/');
  const agentKey = (row: Pick<ContextParticipantRow, 'tenantId' | 'contextId' | 'agentId'>) =>
    JSON.stringify([row.tenantId, row.contextId, row.agentId]);
  const byContext = new Map(contexts.map((row) => [key(row.tenantId, row.id), row]));
  const byId = new Map<string, ContextParticipantRow>();
  const present = new Map<string, ContextParticipantRow>();
  const dirty = new Map<string, ContextParticipantRow>();
  const counted = new Map<string, ContextRow>();
  const put = (row: ContextParticipantRow) => {
    byId.set(key(row.tenantId, row.contextId, row.id), row);
    if (row.status !== 'LEFT') present.set(agentKey(row), row);
    else if (present.get(agentKey(row))?.id === row.id) present.delete(agentKey(row));
  };
  for (const row of participants) put(row);
  return {
    context: (tenantId: string, contextId: string) => byContext.get(key(tenantId, contextId)),
    present: (context: ContextRow, agentId: string) =>
      present.get(agentKey({ tenantId: context.tenantId, contextId: context.id, agentId })),
    byId: (context: ContextRow, participantId: string) => byId.get(key(context.tenantId, context.id, participantId)),
    waiting: (context: ContextRow) => waiting.get(key(context.tenantId, context.id)) ?? 0,
    put(row: ContextParticipantRow): void {
      const place = key(row.tenantId, row.contextId);
      const before = byId.get(key(row.tenantId, row.contextId, row.id));
      const delta = Number(row.status === 'JOINING') - Number(before?.status === 'JOINING');
      waiting.set(place, (waiting.get(place) ?? 0) + delta);
      put(row);
      dirty.set(key(row.tenantId, row.id), row);
    },
    /** A context with another count of participants, or another version. */
    putContext(row: ContextRow, isCounted: boolean): void {
      byContext.set(key(row.tenantId, row.id), row);
      if (isCounted) counted.set(key(row.tenantId, row.id), row);
    },
    changed: () => ({ participants: [...dirty.values()], counted: [...counted.values()] }),
  };
}

type Roster = ReturnType<typeof createRoster>;

/** Decides commands one after the other on what they hold, and writes what they leave, all in a few statements. */
export async function decideParticipants(
  tx: SqlTransaction,
  commands: readonly ParticipantCommand[],
  limitOf: LimitOf,
): Promise<readonly (Decision<ParticipantChange> | PlatformError)[]> {
  const contexts = await lockContexts(
    tx,
    commands.map(({ scope, contextId }) => ({ tenantId: scope.principal.tenantId, id: contextId })),
  );
  const wanted = commands.flatMap(({ scope: { principal }, contextId, about }) => [
    { tenantId: principal.tenantId, contextId, agentId: principal.subject },
    { tenantId: principal.tenantId, contextId, ...about },
  ]);
  const roster =
    contexts.length === 0
      ? createRoster([], [], new Map())
      : createRoster(contexts, await lockParticipants(tx, wanted), await countWaiting(tx, contexts));
  const citations: Citation[] = [];
  const leavers: { readonly row: ContextParticipantRow; readonly events: NewEvent[]; readonly audit: NewAudit[] }[] =
    [];
  const decisions = commands.map((command) => {
    try {
      const { decision, events, audit, citation, left } = decideOne(roster, command);
      if (citation) citations.push(citation);
      if (left) leavers.push({ row: decision.result.after!.participant, events, audit });
      return decision;
    } catch (error) {
      if (error instanceof PlatformError) return error;
      throw error;
    }
  });
  const { participants, counted } = roster.changed();
  await storeCitations(tx, citations);
  await upsertParticipants(tx, participants);
  await writeCounts(tx, counted);
  const sessions = await leaveSessions(
    tx,
    leavers.map(({ row }) => row),
  );
  for (const session of sessions) {
    // Told by the last one who left it: the row is what they all left.
    const last = leavers.findLast(
      ({ row }) => row.tenantId === session.tenantId && session.participantIds.includes(row.id),
    );
    last?.events.push(sessionEvent('context.session.updated', session));
  }
  const left = new Set(leavers.map(({ row }) => roster.context(row.tenantId, row.contextId)!));
  const seated = await seatWaiting(tx, [...left], limitOf);
  for (const { context, event, audit } of seated) {
    // Told by the last one who left a place.
    const last = leavers.findLast(({ row }) => row.tenantId === context.tenantId && row.contextId === context.id)!;
    last.events.push(event);
    last.audit.push(audit);
    roster.putContext(context, false);
  }
  if (seated.length === 0) return decisions;
  return decisions.map((decision) => (decision instanceof PlatformError ? decision : asItStands(roster, decision)));
}

/** With the count of the context as the whole group has left it. */
function asItStands(roster: Roster, decision: Decision<ParticipantChange>): Decision<ParticipantChange> {
  const { after } = decision.result;
  if (after === null || after.context === null) return decision;
  const { tenantId, id } = after.context;
  const { participantCount } = roster.context(tenantId, id)!;
  return {
    ...decision,
    result: { ...decision.result, after: { ...after, context: { ...after.context, participantCount } } },
  };
}

function decideOne(roster: Roster, command: ParticipantCommand) {
  const { principal } = command.scope;
  const context = roster.context(principal.tenantId, command.contextId);
  if (!context || context.deletedAt !== null) throw unknownContext(command.contextId);
  const self = roster.present(context, principal.subject);
  const isIn = (own: ContextParticipantRow | undefined) => own !== undefined && isTakingPart(own);
  const maySee = (own: ContextParticipantRow | undefined) =>
    !isPrivate(context) || isOwnerOrAdmin(context, principal) || isListed(context, principal) || isIn(own);
  if (!maySee(self) && !command.admits?.(context)) throw unknownContext(command.contextId);
  if (context.status === 'archived') throw new PlatformError('INVALID_STATE', 'an archived context is read-only');
  const reference = requireUnlocked(context, command.override);
  const awake = self && noteActivity(self);
  const own = (row: ContextParticipantRow | undefined) => (row && awake && row.id === awake.id ? awake : row);
  const { participant, told } = command.decide(context, {
    presentAs: (agentId) => own(roster.present(context, agentId)),
    byId: (participantId) => own(roster.byId(context, participantId)),
    waiting: roster.waiting(context),
  });

  // Nobody is held back from leaving.
  const isLeaving = participant.status === 'LEFT' && participant.agentId === principal.subject;
  if (told !== null && !isLeaving) requirePolicies(context, principal, 'participant', 'write');
  if (told !== null && participant.agentId !== principal.subject)
    requireListedTo(context, principal, { isMember: isIn(self), isOfParticipants: true });
  const events: NewEvent[] = [];
  if (awake && awake !== self) {
    roster.put(awake);
    if (self?.status === 'INACTIVE') events.push(participantEvent('context.participant.updated', awake));
  }
  const before = roster.byId(context, participant.id);
  const delta =
    told === null ? 0 : Number(isTakingPart(participant)) - Number(before !== undefined && isTakingPart(before));
  const citation = told !== null && reference !== null ? citeConfirm(context, reference, principal) : null;
  const base = citation?.row ?? context;
  const row =
    delta === 0 ? base : { ...base, participantCount: base.participantCount + delta, lastActivityAt: nowText() };
  if (row !== context) roster.putContext(row, delta !== 0);
  if (citation) events.push(citation.event);
  if (told !== null) {
    roster.put(participant);
    events.push(told.event, ...(told.asks === undefined ? [] : [told.asks]));
  }
  const audit = told === null ? [] : [told.audit];
  const shown = maySee(roster.present(row, principal.subject)) ? row : null;
  const decision: Decision<ParticipantChange> = {
    result: { participantId: participant.id, after: { participant, context: shown } },
    response: { participantId: participant.id },
    change: { events, audit },
  };
  return { decision, events, audit, citation, left: delta < 0 };
}

/** Who writes to a context it takes part in is active there: noted once a minute, at once for one that was idle. */
function noteActivity(self: ContextParticipantRow): ContextParticipantRow {
  const now = Date.now();
  const idle = self.status === 'INACTIVE';
  const stale = self.status === 'ACTIVE' && Date.parse(self.lastActivityAt) < now - activityNoteMs;
  if (!idle && !stale) return self;
  return { ...self, status: 'ACTIVE', lastActivityAt: new Date(now).toISOString() };
}
