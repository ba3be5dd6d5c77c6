import type { TaskPriority } from './assignment/index.ts';
import type { Json } from './rows.ts';

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

export interface TaskRisk {
  readonly risk: string;
  readonly probability: number;
  readonly impact: number;
  readonly mitigation?: string | null | undefined;
}

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
  readonly risks: readonly TaskRisk[];
  /** Who leads it. */
  readonly assignedTo: string | null;
  /** Who does it together with them; none without a lead. */
  readonly helpers: readonly string[];
  /** How many are to do it together; null for one who can alone, else as few as can. Tasks in events of before have none. */
  readonly teamSize: number | null;
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

/** Everybody who has a task, who leads it first. */
export const assigneesOf = ({ assignedTo, helpers }: Pick<TaskRow, 'assignedTo' | 'helpers'>): readonly string[] =>
  assignedTo === null ? [] : [assignedTo, ...helpers];

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
