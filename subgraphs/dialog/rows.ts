import type { ThreadPage } from './reads/recent.ts';

/** The frozen protocol's own words. */
export type DialogStatusValue = 'active' | 'paused' | 'completed' | 'cancelled';

export interface DialogConfigurationValue {
  readonly maxParticipants: number;
  readonly allowAnonymous: boolean;
  readonly moderationEnabled: boolean;
  readonly aiAssistanceEnabled: boolean;
  readonly allowJoinMidConversation: boolean;
  readonly showHistory: boolean;
  readonly allowInterruptions: boolean;
  readonly messageRetentionDays: number;
  readonly encryptionEnabled: boolean;
  readonly auditLogging: boolean;
  readonly readReceipts: boolean;
  readonly maxDurationMs: number;
  readonly idleTimeoutMs: number;
  readonly deliveryTtlMs: number;
  readonly visibility: 'PARTICIPANTS' | 'TENANT';
  readonly turnMode: 'FREE' | 'ROUND_ROBIN' | 'MODERATED';
  readonly turnDurationMs: number | null;
}

export interface DialogWorkflowValue {
  readonly planId?: string;
  readonly confirmId?: string;
  readonly approvalWorkflowId?: string;
  readonly traceEnabled?: boolean;
}

export interface DialogFlowValue {
  readonly initial: string;
  readonly states: readonly { readonly name: string; readonly terminal: boolean }[];
  readonly transitions: readonly {
    readonly name: string;
    readonly from: string;
    readonly to: string;
    readonly roles: readonly ParticipantRole[];
  }[];
}

export interface GovernanceValue {
  readonly lifecyclePhase?: string;
  readonly truthDomain?: string;
  readonly locked?: boolean;
  readonly lastConfirmRef?: { readonly id: string; readonly module: string; readonly description?: string };
}

/** What the columns cannot give back to the letter. */
export interface DialogProtocolValue {
  /** True for an imported object: only what it had is exported. */
  readonly imported?: boolean;
  readonly meta?: unknown;
  readonly trace?: unknown;
  readonly events?: unknown;
  /** Imported text of the date-times, verbatim; absent when the object had none. */
  readonly startedAt?: string;
  readonly endedAt?: string;
}

/** The dialog itself, as it lies in `dialog.dialog`. */
export interface DialogRecord {
  readonly tenantId: string;
  readonly id: string;
  readonly contextId: string;
  readonly threadId: string | null;
  readonly status: DialogStatusValue;
  readonly name: string;
  readonly type: string;
  readonly category: string | null;
  readonly description: string | null;
  readonly tags: readonly string[];
  readonly configuration: DialogConfigurationValue;
  readonly workflow: DialogWorkflowValue;
  readonly flow: DialogFlowValue | null;
  readonly flowState: string | null;
  readonly turnOrder: readonly string[];
  readonly governance: GovernanceValue | null;
  readonly protocol: DialogProtocolValue | null;
  readonly participantCount: number;
  readonly pausedBy: 'USER' | 'IDLE' | 'CONTEXT' | null;
  readonly statusReason: string | null;
  readonly retentionDays: number;
  readonly keptFrom: number;
  readonly revision: number;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly archivedAt: string | null;
  readonly nextCheckAt: string | null;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

/** What each message moves, as it lies in `dialog.dialog_state`. */
export interface DialogStateRecord {
  readonly tenantId: string;
  readonly dialogId: string;
  readonly lastSequence: number;
  readonly messageCount: number;
  readonly activeCount: number;
  readonly lastMessageAt: string | null;
  readonly lastSenderType: MessageRow['senderType'] | null;
  readonly lastActivityAt: string;
  readonly windowStartedAt: string | null;
  readonly windowCount: number;
  readonly currentTurn: string | null;
  readonly turnStartedAt: string | null;
  readonly analysisQueuedAt: string | null;
  readonly analyzedUpto: number;
}

/** A dialog as the graph shows it: the record and its moving state. */
export interface DialogRow
  extends DialogRecord,
    Pick<
      DialogStateRecord,
      | 'lastSequence'
      | 'messageCount'
      | 'activeCount'
      | 'lastMessageAt'
      | 'lastActivityAt'
      | 'currentTurn'
      | 'turnStartedAt'
    > {}

export type ParticipantRole =
  | 'REQUESTER'
  | 'APPROVER'
  | 'FACILITATOR'
  | 'CONTRIBUTOR'
  | 'REVIEWER'
  | 'MODERATOR'
  | 'OBSERVER';

export type ParticipantPermission =
  | 'READ'
  | 'WRITE'
  | 'INITIATE_TOPICS'
  | 'ATTACH_DOCUMENTS'
  | 'APPROVE'
  | 'REJECT'
  | 'REQUEST_CHANGES'
  | 'SUGGEST'
  | 'ANALYZE'
  | 'MODERATE'
  | 'SUMMARIZE';

/** [first, last] message sequence of a stay; last is null while it goes on. */
export type Span = readonly [number, number | null];

export interface DialogParticipantRow {
  readonly tenantId: string;
  readonly id: string;
  readonly dialogId: string;
  /** What others see: `sub`, or a pseudonym. */
  readonly subject: string;
  /** `sub` of who acts through this part; never leaves the module. */
  readonly identity: string | null;
  readonly anonymous: boolean;
  readonly type: 'HUMAN' | 'AI_AGENT' | 'SYSTEM';
  readonly displayName: string | null;
  readonly role: ParticipantRole;
  readonly permissions: readonly ParticipantPermission[];
  readonly status: 'INVITED' | 'ACTIVE' | 'LEFT' | 'REMOVED';
  readonly capabilities: readonly string[];
  readonly notifications: unknown;
  readonly availability: unknown;
  readonly timezone: string | null;
  readonly spans: readonly Span[];
  readonly invitedBy: string | null;
  readonly statusReason: string | null;
  readonly invitedAt: string | null;
  readonly joinedAt: string | null;
  readonly leftAt: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface AttachmentValue {
  readonly attachmentId: string;
  readonly type: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly url: string;
  readonly checksum: string | null;
  readonly accessPermissions: readonly string[];
}

export interface ReactionValue {
  readonly type: string;
  readonly participantId: string;
  readonly at: string;
}

export interface AiProcessingValue {
  readonly sentiment: boolean;
  readonly topics: boolean;
  readonly actionItems: boolean;
  readonly entities: boolean;
}

export type MessageRoleValue = 'user' | 'assistant' | 'system' | 'agent';

export interface MessageRow {
  readonly tenantId: string;
  readonly id: string;
  readonly dialogId: string;
  readonly threadId: string | null;
  readonly sequence: number;
  readonly senderId: string | null;
  readonly senderSubject: string | null;
  readonly senderType: 'HUMAN' | 'AGENT' | 'SYSTEM';
  readonly role: MessageRoleValue;
  readonly type: string;
  readonly text: string | null;
  readonly structuredData: unknown;
  readonly mentions: readonly string[];
  readonly hashtags: readonly string[];
  readonly language: string | null;
  readonly replyTo: string | null;
  readonly topic: string | null;
  readonly priority: string;
  readonly requiresResponse: boolean;
  readonly responseDeadline: string | null;
  readonly recipients: readonly string[] | null;
  readonly recipientCount: number;
  readonly attachments: readonly AttachmentValue[];
  readonly reactions: readonly ReactionValue[];
  readonly aiProcessing: AiProcessingValue | null;
  readonly clientMessageId: string | null;
  /** Imported timestamp text and event. */
  readonly protocol: { readonly timestamp: string; readonly event?: unknown } | null;
  readonly revision: number;
  readonly createdAt: string;
  readonly editedAt: string | null;
  readonly deletedAt: string | null;
  readonly deletedBy: string | null;
}

export interface CursorRow {
  readonly participantId: string;
  readonly dialogId: string;
  readonly deliveredUpto: number;
  readonly deliveredAt: string | null;
  readonly readUpto: number;
  readonly readAt: string | null;
}

export interface MessageAnalysisRow {
  readonly messageId: string;
  readonly dialogId: string;
  readonly sequence: number;
  readonly provider: string;
  readonly version: string;
  readonly result: Readonly<Record<string, unknown>>;
  readonly analyzedAt: string;
}

export interface DialogSummaryRow {
  readonly tenantId: string;
  readonly id: string;
  readonly dialogId: string;
  readonly threadId: string | null;
  readonly status: 'PENDING' | 'COMPLETED' | 'FAILED';
  readonly fromSequence: number;
  readonly toSequence: number;
  readonly provider: string | null;
  readonly version: string | null;
  readonly result: Readonly<Record<string, unknown>> | null;
  readonly error: string | null;
  readonly requestedAt: string;
  readonly requestedBy: string;
  readonly completedAt: string | null;
}

export interface DialogMemoryEntryRow {
  readonly kind: 'SHORT_TERM' | 'LONG_TERM';
  readonly key: string;
  readonly value: unknown;
  readonly importance: number;
  readonly ttlSeconds: number | null;
  readonly expiresAt: string | null;
  readonly lastAccessedAt: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
  /** Participants who were there when it was written; null where nobody knows any more. */
  readonly present: readonly string[] | null;
  readonly score?: number | null;
}

export interface PageInfoValue {
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  readonly startCursor: string | null;
  readonly endCursor: string | null;
}

export interface ThreadSummaryValue {
  readonly threadId: string | null;
  readonly participantCount: number;
  readonly messageCount: number;
  readonly lastActivityAt: string | null;
  readonly openActionItems: number;
}

/** Counts are read only where they are asked for. */
export interface MessageConnectionRow {
  readonly edges: readonly MessageEdgeRow[];
  readonly nodes: readonly MessageRow[];
  readonly pageInfo: PageInfoValue;
  readonly count: () => Promise<number>;
  readonly summary: () => Promise<ThreadSummaryValue>;
}

export interface MessageEdgeRow {
  readonly cursor: string;
  readonly node: MessageRow;
  readonly score: number | null;
  readonly snippet: string | null;
}

export interface MessageSearchConnectionRow {
  readonly edges: readonly MessageEdgeRow[];
  readonly nodes: readonly MessageRow[];
  readonly pageInfo: PageInfoValue;
  readonly count: () => Promise<number>;
}

/** Edges of a search carry the same as those of a history. */
export type MessageSearchEdgeRow = MessageEdgeRow;

export interface DialogConnectionRow {
  readonly edges: readonly { readonly cursor: string; readonly node: DialogRow }[];
  readonly nodes: readonly DialogRow[];
  readonly pageInfo: PageInfoValue;
  readonly count: () => Promise<number>;
}

export interface DialogEdgeRow {
  readonly cursor: string;
  readonly node: DialogRow;
}

export interface DialogThreadConnectionRow extends ThreadPage {
  count(): Promise<number>;
}

export interface DialogParticipantConnectionRow {
  readonly edges: readonly { readonly cursor: string; readonly node: DialogParticipantRow }[];
  readonly nodes: readonly DialogParticipantRow[];
  readonly pageInfo: PageInfoValue;
  readonly count: () => Promise<number>;
}

export interface DialogParticipantEdgeRow {
  readonly cursor: string;
  readonly node: DialogParticipantRow;
}

/** A reference to a context: this module knows its id. */
export interface ContextRow {
  readonly id: string;
}

/** Deliveries of a message, read from cursors and followed deliveries only where they are asked for. */
export interface MessageDeliverySummaryRow {
  readonly message: MessageRow;
}

export interface DeliveryValue {
  readonly participantId: string;
  readonly status: 'PENDING' | 'SENT' | 'DELIVERED' | 'READ' | 'FAILED' | 'EXPIRED';
  readonly attempts: number;
  readonly at: string | null;
}

/** What the graph tells of a session of a context. */
export interface ContextSessionRow {
  readonly id: string;
  readonly contextId?: string;
  readonly agentIds?: readonly string[];
  readonly startedAt?: string;
  readonly endedAt?: string | null;
}
