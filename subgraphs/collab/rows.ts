import type { PageInfoShape } from '#shared/connection.ts';
import type { TaskPriority } from './assignment/index.ts';
import type { Slice } from './conflict/index.ts';
import type {
  broadcastPayload,
  collabView,
  conflictPayload,
  decisionView,
  participantPayload,
  recommendationPayload,
  resourcePayload,
  tallyPayload,
  taskPayload,
  turnPayload,
} from './payload.ts';
import type { Tally, Vote, Voter, VotingRules } from './voting/index.ts';

export type Json = Readonly<Record<string, unknown>>;

export const collabModes = ['broadcast', 'round_robin', 'orchestrated', 'swarm', 'pair'] as const;
export type CollabMode = (typeof collabModes)[number];
export type CollabStatusValue = 'draft' | 'active' | 'suspended' | 'completed' | 'cancelled';

export interface Coordination {
  readonly type: 'centralized' | 'distributed' | 'hierarchical' | 'peer_to_peer';
  /** Participant; null where who created it coordinates. */
  readonly coordinatorId: string | null;
}

/** Rules of a vote, with who sees what of it. */
export interface BallotRules extends VotingRules {
  /** Nobody ever learns who voted what. */
  readonly anonymity: boolean;
  /** Standings are shown while the voting is open; never where it is anonymous. */
  readonly transparency: boolean;
  readonly revisionAllowed: boolean;
  readonly delegationAllowed: boolean;
  readonly abstentionAllowed: boolean;
  readonly timeLimitMs: number;
  /** Of the method `custom`: what counts. */
  readonly extension?: { readonly extensionId: string; readonly capabilityId: string; readonly method: string };
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

export const taskStatuses = [
  'pending',
  'assigned',
  'in_progress',
  'blocked',
  'completed',
  'failed',
  'cancelled',
] as const;
export type TaskStatusValue = (typeof taskStatuses)[number];

export interface TaskRow {
  readonly tenantId: string;
  readonly id: string;
  readonly collabId: string;
  readonly name: string;
  readonly description: string | null;
  readonly type: string | null;
  readonly priority: TaskPriority;
  readonly effortHours: number;
  readonly requiredSkills: readonly string[];
  readonly skillWeights: Readonly<Record<string, number>>;
  readonly dependsOn: readonly string[];
  readonly deliverables: readonly string[];
  readonly risks: readonly Json[];
  readonly assignedTo: string | null;
  readonly status: TaskStatusValue;
  readonly progress: number;
  readonly note: string | null;
  readonly position: number;
  readonly deadline: string | null;
  readonly plannedStart: string | null;
  readonly plannedFinish: string | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
}

export interface DecisionOption {
  readonly id: string;
  readonly label: string;
  readonly description: string | null;
  readonly isStatusQuo: boolean;
}

export type DecisionStatusValue =
  | 'proposed'
  | 'under_review'
  | 'voting'
  | 'decided'
  | 'implemented'
  | 'reviewed'
  | 'withdrawn';
export type DecisionOutcomeValue = Tally['outcome'] | 'expired' | 'withdrawn' | 'escalated';

/** What a vote came to. */
export interface DecisionResult extends Omit<Tally, 'rounds'> {
  readonly rounds?: Tally['rounds'];
  /** Voters that voted otherwise; none where it was anonymous. */
  readonly dissent: readonly string[];
  readonly rationale: string;
}

export interface DecisionRow {
  readonly tenantId: string;
  readonly id: string;
  readonly collabId: string;
  readonly title: string;
  readonly description: string | null;
  readonly type: string;
  readonly proposedBy: string;
  readonly options: readonly DecisionOption[];
  readonly criteria: readonly Json[];
  readonly rules: BallotRules;
  readonly electorate: readonly Voter[];
  readonly status: DecisionStatusValue;
  readonly outcome: DecisionOutcomeValue | null;
  readonly winner: string | null;
  readonly result: DecisionResult | null;
  readonly impact: number;
  readonly gate: 'auto' | 'confirm' | 'human' | null;
  readonly confirmId: string | null;
  readonly urgency: string | null;
  readonly reversibility: string | null;
  readonly implementation: Json | null;
  readonly note: string | null;
  readonly ballotCount: number;
  readonly openedAt: string | null;
  readonly deadline: string | null;
  readonly decidedAt: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
}

export interface BallotRow {
  readonly tenantId: string;
  readonly decisionId: string;
  readonly voter: string;
  readonly collabId: string;
  /** Null where the voice was passed on. */
  readonly vote: Vote | null;
  readonly delegateTo: string | null;
  readonly rationale: string | null;
  readonly revision: number;
  readonly castAt: string;
}

export interface TurnRow {
  readonly tenantId: string;
  readonly id: string;
  readonly collabId: string;
  readonly number: number;
  readonly participantId: string;
  readonly roleId: string;
  readonly tokenId: string;
  readonly taskId: string | null;
  readonly instruction: Json | null;
  readonly status: 'dispatched' | 'completed' | 'timed_out' | 'cancelled';
  readonly result: Json | null;
  readonly error: string | null;
  readonly dispatchedBy: string;
  readonly dispatchedAt: string;
  readonly dueAt: string;
  readonly completedAt: string | null;
}

export interface BroadcastRow {
  readonly tenantId: string;
  readonly id: string;
  readonly collabId: string;
  readonly senderId: string;
  readonly message: Json;
  readonly status: 'open' | 'complete' | 'expired';
  readonly recipients: readonly string[];
  readonly receipts: Readonly<Record<string, { readonly at: string; readonly response: Json | null }>>;
  readonly dueAt: string;
  readonly createdAt: string;
}

export interface ConflictClaim {
  readonly participantId: string;
  readonly amount: number;
  readonly weight: number;
  readonly priority: number;
  /** Allocation, task or objective that it comes from. */
  readonly reference: string | null;
}

export interface ConflictResolution {
  readonly strategy: 'fair_share' | 'priority' | 'time_slicing' | 'bargaining' | 'arbitration';
  /** By participant. */
  readonly shares: Readonly<Record<string, number>>;
  readonly slices: readonly Slice[];
  readonly proposal: string | null;
  /** What those are given who get less than they asked for. */
  readonly compensation: string | null;
  readonly rationale: string;
  readonly resolvedBy: string;
}

export interface ConflictRow {
  readonly tenantId: string;
  readonly id: string;
  readonly collabId: string;
  readonly type: 'resource_allocation' | 'task_overlap' | 'objective' | 'priority' | 'data_write' | 'cyclic_wait';
  readonly severity: 'low' | 'medium' | 'high' | 'critical';
  /** 1 mediation, 2 arbitration by an expert, 3 people. */
  readonly level: number;
  readonly status: 'detected' | 'proposed' | 'resolved' | 'dismissed';
  readonly description: string;
  readonly subject: string;
  readonly participants: readonly string[];
  readonly claims: readonly ConflictClaim[];
  readonly resolution: ConflictResolution | null;
  readonly agreements: readonly string[];
  readonly raisedBy: string;
  readonly levelDueAt: string | null;
  readonly resolvedAt: string | null;
  readonly version: number;
  readonly createdAt: string;
}

export interface ResourceAllocation {
  readonly id: string;
  readonly participantId: string;
  readonly amount: number;
  readonly start: string;
  readonly end: string;
  readonly priority: number;
  /** What it holds; less than the amount after a conflict was settled, 0 while it waits. */
  readonly granted: number;
  readonly status: 'granted' | 'waiting' | 'released';
}

export interface ResourceRow {
  readonly tenantId: string;
  readonly id: string;
  readonly collabId: string;
  readonly name: string;
  readonly unit: string | null;
  readonly capacity: number;
  readonly allocations: readonly ResourceAllocation[];
  readonly version: number;
  readonly createdAt: string;
}

export interface RecommendationRow {
  readonly tenantId: string;
  readonly id: string;
  readonly collabId: string;
  readonly type: string;
  readonly action: Json;
  readonly wording: string;
  readonly before: Readonly<Record<string, number>>;
  readonly after: Readonly<Record<string, number>>;
  readonly gain: number;
  readonly score: number;
  readonly confidence: number;
  readonly evidence: readonly string[];
  readonly status: 'open' | 'accepted' | 'rejected' | 'expired';
  readonly note: string | null;
  readonly decidedBy: string | null;
  readonly expiresAt: string;
  readonly createdAt: string;
}

// What resolvers get as the parents of the graph's types.
export type CollaborationRow = ReturnType<typeof collabView>;
export type CollabParticipantRow = ReturnType<typeof participantPayload>;
export type CollabTaskRow = ReturnType<typeof taskPayload>;
export type CollabDecisionRow = ReturnType<typeof decisionView>;
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
export type RoleRow = Stub;
