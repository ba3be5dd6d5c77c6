import { defineRecord } from '#shared/record.ts';

export type AgentStatus = 'online' | 'draining' | 'lost';

/** One agent of the registry. */
export interface AgentRow {
  readonly tenantId: string;
  /** The subject of its token. */
  readonly agentId: string;
  readonly name: string;
  readonly capabilities: readonly string[];
  readonly endpoint: string | null;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly status: AgentStatus;
  /** Tasks that it takes at the same time, and has. */
  readonly capacity: number;
  readonly activeTasks: number;
  /** 0 to 1. */
  readonly load: number | null;
  readonly ttlMs: number;
  readonly version: number;
  readonly registeredBy: string;
  readonly registeredAt: string;
  readonly lastSeenAt: string;
  readonly expiresAt: string;
}

export const agentRecord = defineRecord<AgentRow>([
  ['tenant_id', 'tenantId', 'text'],
  ['agent_id', 'agentId', 'text'],
  ['name', 'name', 'text'],
  ['capabilities', 'capabilities', 'text[]'],
  ['endpoint', 'endpoint', 'text'],
  ['attributes', 'attributes', 'jsonb'],
  ['status', 'status', 'text'],
  ['capacity', 'capacity', 'int'],
  ['active_tasks', 'activeTasks', 'int'],
  ['load', 'load', 'float8'],
  ['ttl_ms', 'ttlMs', 'int'],
  ['version', 'version', 'int'],
  ['registered_by', 'registeredBy', 'text'],
  ['registered_at', 'registeredAt', 'timestamptz'],
  ['last_seen_at', 'lastSeenAt', 'timestamptz'],
  ['expires_at', 'expiresAt', 'timestamptz'],
]);
