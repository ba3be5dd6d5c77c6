import type { PageInfoShape } from '#shared/connection.ts';
import type { BallotRules } from './decisionRows.ts';
import type { ExecutionPattern } from './executionPattern.ts';
import type {
  broadcastPayload,
  collabView,
  conflictPayload,
  councilPayload,
  decisionView,
  participantPayload,
  recommendationPayload,
  resourcePayload,
  tallyPayload,
  taskPayload,
  turnPayload,
} from './payload.ts';

export type Json = Readonly<Record<string, unknown>>;

export const collabModes = ['broadcast', 'round_robin', 'orchestrated', 'swarm', 'pair'] as const;
export type CollabMode = (typeof collabModes)[number];
export type CollabStatusValue = 'draft' | 'active' | 'suspended' | 'completed' | 'cancelled';

export interface Coordination {
  readonly type: 'centralized' | 'distributed' | 'hierarchical' | 'peer_to_peer';
  /** Participant; null where who created it coordinates. */
  readonly coordinatorId: string | null;
}

export interface Objective {
  readonly description: string;
  readonly priority: number;
  readonly metrics: readonly {
    readonly name: string;
    readonly target: number;
    readonly weight: number;
    readonly direction: 'at_least' | 'at_most';
  }[];
  readonly requiredCapabilities: readonly string[];
}

export interface CollabStats {
  readonly turnsDispatched: number;
  readonly turnsCompleted: number;
  readonly turnsTimedOut: number;
  /** Sum over completed turns. */
  readonly turnMs: number;
  readonly broadcastsSent: number;
  readonly receipts: number;
  readonly tasksCreated: number;
  readonly tasksCompleted: number;
  readonly tasksFailed: number;
  readonly tasksLate: number;
  readonly decisionsOpened: number;
  readonly decisionsConcluded: number;
  readonly decisionsAdopted: number;
  readonly conflictsDetected: number;
  readonly conflictsResolved: number;
  readonly recommendationsMade: number;
  readonly recommendationsAccepted: number;
}

export const emptyStats: CollabStats = {
  turnsDispatched: 0,
  turnsCompleted: 0,
  turnsTimedOut: 0,
  turnMs: 0,
  broadcastsSent: 0,
  receipts: 0,
  tasksCreated: 0,
  tasksCompleted: 0,
  tasksFailed: 0,
  tasksLate: 0,
  decisionsOpened: 0,
  decisionsConcluded: 0,
  decisionsAdopted: 0,
  conflictsDetected: 0,
  conflictsResolved: 0,
  recommendationsMade: 0,
  recommendationsAccepted: 0,
};

export interface GovernanceValue {
  readonly lifecyclePhase?: string;
  readonly truthDomain?: string;
  readonly locked?: boolean;
  readonly lastConfirmRef?: { readonly id: string; readonly module: string };
}

export interface CollabRow {
  readonly tenantId: string;
  readonly id: string;
  readonly contextId: string;
  readonly planId: string | null;
  readonly dialogId: string | null;
  readonly networkId: string | null;
  readonly confirmId: string | null;
  readonly title: string;
  readonly purpose: string;
  readonly mode: CollabMode;
  readonly type: string | null;
  readonly status: CollabStatusValue;
  readonly statusReason: string | null;
  readonly suspendedBy: 'user' | 'context' | 'silence' | null;
  readonly isFailed: boolean;
  readonly coordination: Coordination;
  readonly decisionConfig: BallotRules;
  readonly objectives: readonly Objective[];
  readonly performanceTargets: Readonly<Record<string, number>>;
  readonly turnTaking: { readonly timeoutMs: number; readonly autoAdvance: boolean };
  readonly turnState: { readonly number: number; readonly lastParticipantId: string | null; readonly missed: number };
  readonly maxParticipants: number;
  readonly participantCount: number;
  readonly deadlines: Readonly<Record<string, string>>;
  readonly stats: CollabStats;
  readonly experience: Readonly<Record<string, { readonly succeeded: number; readonly failed: number }>>;
  readonly governance: GovernanceValue | null;
  readonly protocol: Json | null;
  /** From its start on; null for ever. */
  readonly maxDurationMs: number | null;
  readonly executionPattern: ExecutionPattern | null;
  readonly nextDeadlineAt: string | null;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

export interface DecisionAuthority {
  readonly autonomousDecisions: readonly string[];
  readonly approvalRequired: readonly string[];
  readonly escalationTriggers: readonly string[];
  readonly decisionConfidence: number;
  readonly escalationConfidence: number;
}

export const collabPermissions = ['make_decisions', 'assign_tasks', 'oversee', 'manage_resources'] as const;
export type CollabPermission = (typeof collabPermissions)[number];

export interface ParticipantRow {
  readonly tenantId: string;
  readonly collabId: string;
  readonly participantId: string;
  readonly kind: 'agent' | 'human' | 'system' | 'external';
  readonly roleId: string | null;
  readonly displayName: string | null;
  readonly agentId: string;
  readonly status: 'active' | 'inactive' | 'pending' | 'completed' | 'failed' | 'cancelled';
  readonly capabilities: readonly string[];
  readonly permissions: readonly CollabPermission[];
  readonly priority: number;
  readonly weight: number;
  readonly workload: number;
  readonly authority: DecisionAuthority;
  readonly position: number;
  readonly replacedBy: string | null;
  readonly joinedAt: string | null;
  readonly leftAt: string | null;
}

// What resolvers get as the parents of the graph's types.
export type CollaborationRow = ReturnType<typeof collabView>;
export type CollabParticipantRow = ReturnType<typeof participantPayload>;
export type CollabTaskRow = ReturnType<typeof taskPayload>;
export type CollabDecisionRow = ReturnType<typeof decisionView>;
export type CollabCouncilRow = ReturnType<typeof councilPayload>;
export type CollabTurnRow = ReturnType<typeof turnPayload>;
export type CollabBroadcastRow = ReturnType<typeof broadcastPayload>;
export type CollabConflictRow = ReturnType<typeof conflictPayload>;
export type CollabResourceRow = ReturnType<typeof resourcePayload>;
export type CollabAllocationRow = CollabResourceRow['allocations'][number];
export type CollabTallyRow = ReturnType<typeof tallyPayload>;
export type CollabRecommendationRow = ReturnType<typeof recommendationPayload>;

export interface CollaborationConnectionRow {
  readonly edges: { readonly cursor: string; readonly node: CollaborationRow }[];
  readonly nodes: CollaborationRow[];
  readonly pageInfo: PageInfoShape;
  count(): Promise<number>;
}

export interface CollabDecisionTallyRow {
  readonly decision: CollabDecisionRow;
  readonly ballotCount: number;
}

/** Objects of other modules: their key is all that is known of them here. */
interface Stub {
  readonly id: string;
}
export type ContextRow = Stub;
export type PlanRow = Stub;
export type DialogRow = Stub;
export type NetworkRow = Stub;
export type RoleRow = Stub;
