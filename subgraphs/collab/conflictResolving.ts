import { PlatformError } from '#shared/errors.ts';
import { bargain, type Claim, fairShares, sharesByPriority, timeSlices } from './conflict/index.ts';
import { rolesOf } from './conflictFinding.ts';
import { type ConflictResolution, type ConflictRow, heldBy, type ResourceRow } from './conflictRows.ts';
import { count, type Draft, find, list, put, setDeadline, tell } from './draft.ts';
import type { inputs } from './inputTypes.ts';
import { grantWaiting, roomFor } from './resourceRoom.ts';

/** The resource that a conflict is about; null where it is about none. */
export function resourceOf(draft: Draft, { subject }: ConflictRow): ResourceRow | null {
  const [kind, id] = subject.split(':');
  return kind === 'resource' && id !== undefined ? (find(draft, 'resource', id) ?? null) : null;
}

const toClaims = ({ claims }: ConflictRow): readonly Claim[] =>
  claims.map(({ participantId, amount, weight, priority }) => ({ id: participantId, amount, weight, priority }));

/** What the conflict would be settled with. @throws {VALIDATION_FAILED} {INSUFFICIENT_DATA} */
export function resolutionOf(
  draft: Draft,
  conflict: ConflictRow,
  input: inputs['resolve'],
  resolvedBy: string,
): ConflictResolution {
  const resource = resourceOf(draft, conflict);
  const capacity = input.capacity ?? resource?.capacity ?? null;
  const blank = {
    strategy: input.strategy,
    shares: {},
    slices: [],
    proposal: null,
    compensation: input.compensation ?? null,
    resolvedBy,
  };
  const asked = (of: ReadonlyMap<string, number>) =>
    conflict.claims
      .map(({ participantId, amount }) => `${participantId} ${round(of.get(participantId) ?? 0)} of ${round(amount)}`)
      .join(', ');
  switch (input.strategy) {
    case 'fair_share':
    case 'priority': {
      if (conflict.claims.length === 0 || capacity === null)
        throw new PlatformError('INSUFFICIENT_DATA', 'shares need claims and a capacity', {
          path: ['input', 'capacity'],
        });
      if (resource !== null && capacity > resource.capacity)
        throw new PlatformError('VALIDATION_FAILED', `capacity: there are ${resource.capacity}`, {
          path: ['input', 'capacity'],
        });
      const shares =
        input.strategy === 'priority'
          ? sharesByPriority(toClaims(conflict), capacity)
          : fairShares(toClaims(conflict), capacity);
      const how = input.strategy === 'priority' ? 'the higher priority first' : 'weighted max-min fairness';
      return { ...blank, shares: Object.fromEntries(shares), rationale: `${how}: ${asked(shares)}` };
    }
    case 'time_slicing': {
      const window = windowOf(conflict, resource, input);
      if (conflict.claims.length === 0 || capacity === null || window === null)
        throw new PlatformError('INSUFFICIENT_DATA', 'slices need claims, a capacity and a time', {
          path: ['input', 'start'],
        });
      const slices = timeSlices(toClaims(conflict), { capacity, ...window });
      return { ...blank, slices, rationale: `one after the other: ${slices.map(({ id }) => id).join(', ')}` };
    }
    case 'bargaining': {
      const parties = conflict.participants;
      const valuesOf = (given: readonly { participantId: string; utility: number }[]) =>
        parties.map((party) => given.find(({ participantId }) => participantId === party)?.utility ?? 0);
      const chosen = bargain(
        (input.proposals ?? []).map(({ id, utilities }) => ({ id, utilities: valuesOf(utilities) })),
        valuesOf(input.disagreement ?? []),
      );
      if (chosen === null)
        throw new PlatformError(
          'INSUFFICIENT_DATA',
          'no proposal leaves everybody at least as well off as no agreement',
          {
            path: ['input', 'proposals'],
          },
        );
      const gains = parties.map((party, at) => `${party} ${chosen.utilities[at]}`).join(', ');
      return { ...blank, proposal: chosen.id, rationale: `greatest product of gains (Nash): ${gains}` };
    }
    default:
      if (input.ruling == null || input.ruling.trim() === '')
        throw new PlatformError('RATIONALE_REQUIRED', 'an arbitration says what is ruled', {
          path: ['input', 'ruling'],
        });
      return { ...blank, rationale: input.ruling };
  }
}

const round = (value: number) => Math.round(value * 1_000) / 1_000;

function windowOf({ claims }: ConflictRow, resource: ResourceRow | null, input: inputs['resolve']) {
  if (input.start != null && input.end != null) return { start: input.start.getTime(), end: input.end.getTime() };
  const ids = new Set(claims.flatMap(({ reference }) => reference?.split(' ') ?? []));
  const involved = (resource?.allocations ?? []).filter(({ id }) => ids.has(id));
  if (involved.length === 0) return null;
  return {
    start: Math.min(...involved.map(({ start }) => Date.parse(start))),
    end: Math.max(...involved.map(({ end }) => Date.parse(end))),
  };
}

/** Those affected that still take part and have not accepted yet. */
export function missingAgreements(draft: Draft, { participants, agreements }: ConflictRow): readonly string[] {
  return participants.filter((id) => find(draft, 'participant', id)?.status === 'active' && !agreements.includes(id));
}

/** Part of what it asked for that whoever of a conflict is served least holds; null where it is about no resource. */
export function leastServed(draft: Draft, conflict: ConflictRow): number | null {
  const resource = resourceOf(draft, conflict);
  if (resource === null || conflict.claims.length === 0) return null;
  const held = heldBy(resource, conflict);
  return Math.min(
    ...conflict.claims.map(({ participantId, amount }) =>
      amount === 0 ? 1 : Math.min(1, (held.get(participantId) ?? 0) / amount),
    ),
  );
}

/** Puts a resolution into force: what is shared is given out, never more than there is. */
export function settle(draft: Draft, conflict: ConflictRow): ConflictRow {
  const resource = resourceOf(draft, conflict);
  if (resource !== null && conflict.resolution !== null)
    put(draft, 'resource', grantWaiting(applied(resource, conflict, conflict.resolution)));
  const resolved = put(draft, 'conflict', {
    ...conflict,
    status: 'resolved',
    levelDueAt: null,
    resolvedAt: draft.at,
    version: conflict.version + 1,
  });
  setDeadline(draft, `conflict:${conflict.id}`, null);
  count(draft, { conflictsResolved: 1 });
  tell(draft, 'collab.conflict.resolved', { conflict: resolved, targetRoles: rolesOf(draft, conflict.participants) });
  // What belonged to the same resource may be settled with it.
  for (const other of list(draft, 'conflict'))
    if (other.id !== conflict.id && other.subject === conflict.subject && other.status === 'detected')
      put(draft, 'conflict', { ...other, status: 'dismissed', resolvedAt: draft.at, version: other.version + 1 });
  return resolved;
}

function applied(resource: ResourceRow, conflict: ConflictRow, resolution: ConflictResolution): ResourceRow {
  const involved = new Set(conflict.claims.flatMap(({ reference }) => reference?.split(' ') ?? []));
  const { shares, slices, strategy } = resolution;
  if (strategy === 'bargaining' || strategy === 'arbitration') return resource;
  // What is shared anew is taken back first, so that the order of giving does not matter.
  let current: ResourceRow = {
    ...resource,
    version: resource.version + 1,
    allocations: resource.allocations.map((one) =>
      involved.has(one.id) && one.status !== 'released' ? { ...one, status: 'waiting', granted: 0 } : one,
    ),
  };
  for (const one of current.allocations.filter(({ id, status }) => involved.has(id) && status === 'waiting')) {
    const claim = conflict.claims.find(({ participantId }) => participantId === one.participantId);
    const slice = slices.find(({ id }) => id === one.participantId);
    const placed =
      slice === undefined
        ? one
        : { ...one, start: new Date(slice.start).toISOString(), end: new Date(slice.end).toISOString() };
    const part = claim === undefined || claim.amount === 0 ? 0 : one.amount / claim.amount;
    const wanted = slice === undefined ? part * (shares[one.participantId] ?? 0) : Math.min(one.amount, slice.amount);
    const granted = Math.min(wanted, roomFor(current, placed));
    current = {
      ...current,
      allocations: current.allocations.map((entry) =>
        // A share settles the claim, also one of nothing: who gets less than it asked for does not go on waiting.
        entry.id === one.id
          ? {
              ...placed,
              amount: granted > 0 ? granted : one.amount,
              granted,
              status: granted > 0 ? 'granted' : 'released',
            }
          : entry,
      ),
    };
  }
  return current;
}
