import { PlatformError } from '#shared/errors.ts';
import type { ParticipantInput } from './inputs.ts';
import type { CollabMode, Coordination, DecisionAuthority, Objective, ParticipantRow } from './rows.ts';

export const defaultAuthority: DecisionAuthority = {
  autonomousDecisions: [],
  approvalRequired: [],
  escalationTriggers: [],
  decisionConfidence: 0.8,
  escalationConfidence: 0.6,
};

type AuthorityInput = NonNullable<ParticipantInput['authority']>;

export function toAuthority(given: AuthorityInput | null | undefined, base = defaultAuthority): DecisionAuthority {
  return {
    autonomousDecisions: given?.autonomousDecisions ?? base.autonomousDecisions,
    approvalRequired: given?.approvalRequired ?? base.approvalRequired,
    escalationTriggers: given?.escalationTriggers ?? base.escalationTriggers,
    decisionConfidence: given?.decisionConfidence ?? base.decisionConfidence,
    escalationConfidence: given?.escalationConfidence ?? base.escalationConfidence,
  };
}

export interface Place {
  readonly tenantId: string;
  readonly collabId: string;
  readonly position: number;
  readonly at: string;
}

/** A new part; its weight counts before it is brought to a sum of 1 with the others. */
export function toParticipant(given: ParticipantInput, { tenantId, collabId, position, at }: Place): ParticipantRow {
  return {
    tenantId,
    collabId,
    participantId: given.participantId,
    kind: given.kind,
    roleId: given.roleId ?? null,
    displayName: given.displayName ?? null,
    agentId: given.agentId ?? given.participantId,
    status: 'active',
    capabilities: given.capabilities ?? [],
    permissions: given.permissions ?? ['make_decisions'],
    priority: given.priority ?? 50,
    weight: given.weight ?? 1,
    workload: given.workload ?? 0,
    authority: toAuthority(given.authority),
    position,
    replacedBy: null,
    joinedAt: at,
    leftAt: null,
  };
}

/** Weights of those who take part, in proportion, with a sum of 1; equal ones where all are 0. */
export function normalised(rows: readonly ParticipantRow[]): readonly ParticipantRow[] {
  const all = rows.reduce((sum, { weight }) => sum + weight, 0);
  return rows.map((row) => ({ ...row, weight: all === 0 ? 1 / rows.length : row.weight / all }));
}

/** Of each kind of collaboration, how many may take part. */
const mostOf: Readonly<Record<string, number>> = {
  distributed_decision_making: 20,
  resource_optimization: 30,
  multi_agent_coordination: 50,
};

/** @throws {LIMIT_EXCEEDED} */
export function requireWithin(type: string | null, participants: number): void {
  const most = type === null ? undefined : mostOf[type];
  if (most !== undefined && participants > most)
    throw new PlatformError(
      'LIMIT_EXCEEDED',
      `${type?.toUpperCase()}: expected at most ${most} participants, got ${participants}`,
      {
        path: ['input', 'participants'],
        details: { limit: most },
      },
    );
}

/** @throws {INVARIANT_VIOLATED} {ROLE_MISSING} unless the session may begin with these. */
export function requireSession(mode: CollabMode, participants: readonly ParticipantRow[]): void {
  if (participants.length === 0)
    throw new PlatformError('INVARIANT_VIOLATED', 'a session needs a participant', {
      details: { invariant: 'map_session_requires_participants' },
    });
  const without = participants.filter(({ roleId }) => roleId === null || roleId.trim() === '');
  if (without.length > 0)
    throw new PlatformError('ROLE_MISSING', 'every participant of a session that begins has a role', {
      details: {
        invariant: 'map_participants_have_role_ids',
        participantIds: without.map(({ participantId }) => participantId),
      },
    });
  if (mode === 'pair' && participants.length !== 2)
    throw new PlatformError('INVARIANT_VIOLATED', `a pair has exactly two participants, got ${participants.length}`, {
      details: { invariant: 'pair' },
    });
}

/** @throws {COORDINATOR_INVALID} */
export function requireCoordinatorAmong(
  { type, coordinatorId }: Coordination,
  participants: readonly { readonly participantId: string }[],
): void {
  const path = ['input', 'coordination', 'coordinatorId'];
  if (coordinatorId === null) {
    if (type === 'centralized' || type === 'hierarchical')
      throw new PlatformError('COORDINATOR_INVALID', `${type.toUpperCase()} coordination needs a coordinator`, {
        path,
      });
    return;
  }
  if (!participants.some(({ participantId }) => participantId === coordinatorId))
    throw new PlatformError('COORDINATOR_INVALID', 'the coordinator is none of the participants', { path });
}

/** Capabilities that the objectives ask for and nobody has. */
export function gapsOf(
  objectives: readonly Objective[],
  participants: readonly { readonly capabilities: readonly string[] }[],
): readonly string[] {
  const have = new Set(participants.flatMap(({ capabilities }) => capabilities));
  return [...new Set(objectives.flatMap(({ requiredCapabilities }) => requiredCapabilities))].filter(
    (capability) => !have.has(capability),
  );
}

/** Part of what the objectives ask for that one has, 0 to 1; 1 where they ask for nothing. */
export function matchScore(objectives: readonly Objective[], capabilities: readonly string[]): number {
  const wanted = new Set(objectives.flatMap(({ requiredCapabilities }) => requiredCapabilities));
  if (wanted.size === 0) return 1;
  return capabilities.filter((capability) => wanted.has(capability)).length / wanted.size;
}
