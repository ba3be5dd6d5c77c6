import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, text } from '#shared/validation.ts';
import type { CallOptions, Commands } from '../commands.ts';
import { createBeats } from './heartbeats.ts';
import * as inputs from './inputs.ts';
import type { AgentRow, AgentStatus } from './rows.ts';
import * as store from './store.ts';

/** Agents of a tenant at most. */
export const maxAgents = 100_000;
const sweepLimit = 500;
const reasonInput = text({ max: 1_024 }).nullish();

/** The stream of what becomes of a tenant's agents. */
export const agentStream = (tenantId: string): string => derivedId(`core:agents:${tenantId}`);
export const agentTag = (agentId: string): string => `CoreAgent:${agentId}`;

const unknown = (agentId: string) =>
  new PlatformError('NOT_FOUND', 'no agent of this id is registered', { path: ['agentId'], details: { agentId } });

function agentEvent(type: string, agent: AgentRow, reason: string | null = null): NewEvent {
  return { streamId: agentStream(agent.tenantId), type, data: { agent, reason }, tags: [agentTag(agent.agentId)] };
}

/** What a registration is to those who follow: one that was lost is back, however it is heard again. */
const registrationType = (before: AgentRow | null) =>
  before === null ? 'agent.registered' : before.status === 'lost' ? 'agent.returned' : 'agent.changed';

export type Agents = ReturnType<typeof createAgents>;

/** The registry of agents: who is there, what it can do, what room it has. Whoever falls silent is lost until it is heard again. */
export function createAgents(runtime: ModuleRuntime, { commands }: { readonly commands: Commands }) {
  const { sql, authorizer } = runtime;
  const beats = createBeats(runtime);

  /** The agent named, else the caller; another than oneself needs agent:manage. @throws {PERMISSION_DENIED} */
  async function requireOwn({ principal }: RequestScope, agentId: string | null | undefined): Promise<string> {
    const id = agentId ?? principal.subject;
    if (id === principal.subject || (await authorizer.allows(principal, 'agent:manage'))) return id;
    throw new PlatformError('PERMISSION_DENIED', 'this needs the permission agent:manage', {
      details: { permission: 'agent:manage' },
    });
  }

  /** Moves an agent where its status is another. */
  function settle(tenantId: string, agentId: string, decide: (row: AgentRow, nowMs: number) => AgentStatus | null) {
    return commands.runAs(tenantId, 'system', async (tx) => {
      const row = await store.lockAgent(tx, tenantId, agentId);
      const status = row === null ? null : decide(row, await store.readNowMs(tx));
      if (row === null || status === null || status === row.status) return { response: null };
      const after = await store.setStatus(tx, row, status);
      const type = status === 'lost' ? 'agent.lost' : row.status === 'lost' ? 'agent.returned' : 'agent.changed';
      return { response: null, events: [agentEvent(type, after)] };
    });
  }

  return {
    beats,

    /**
     * Registers an agent, or takes over what it says of itself anew. @returns its id
     * @throws {VALIDATION_FAILED} {PERMISSION_DENIED} {QUOTA_EXCEEDED}
     */
    async register(scope: RequestScope, raw: unknown): Promise<string> {
      const { idempotencyKey, ...input } = parseInput(inputs.register, raw, ['input']);
      const agentId = await requireOwn(scope, input.agentId);
      const { tenantId, subject } = scope.principal;
      return commands.run(scope, { operation: 'registerAgent', input, idempotencyKey }, async (tx) => {
        const before = await store.lockAgent(tx, tenantId, agentId);
        if (before === null && (await store.countAgents(tx, tenantId)) >= maxAgents)
          throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxAgents} agents`, {
            details: { limit: maxAgents },
          });
        const nowMs = await store.readNowMs(tx);
        const now = new Date(nowMs).toISOString();
        const row = await store.saveAgent(tx, {
          ...{ tenantId, agentId, name: input.name, capabilities: input.capabilities },
          endpoint: input.endpoint ?? null,
          attributes: input.attributes ?? {},
          status: 'online',
          capacity: input.capacity,
          activeTasks: before?.activeTasks ?? 0,
          load: before?.load ?? null,
          ttlMs: input.ttlMs,
          version: (before?.version ?? 0) + 1,
          registeredBy: subject,
          registeredAt: before?.registeredAt ?? now,
          lastSeenAt: now,
          expiresAt: new Date(nowMs + input.ttlMs).toISOString(),
        });
        return {
          response: agentId,
          events: [agentEvent(registrationType(before), row)],
          audit: [{ action: 'agent.register', resource: 'CoreAgent', resourceId: agentId }],
        };
      });
    },

    /** @throws {NOT_FOUND} {PERMISSION_DENIED} */
    async unregister(scope: RequestScope, id: string | null | undefined, options: CallOptions): Promise<string> {
      const agentId = await requireOwn(scope, parseInput(inputs.agentId.nullish(), id, ['agentId']));
      const reason = parseInput(reasonInput, options.reason, ['reason']) ?? null;
      const { tenantId } = scope.principal;
      const call = {
        ...{ operation: 'unregisterAgent', input: { agentId, reason } },
        idempotencyKey: options.idempotencyKey,
      };
      return commands.run(scope, call, async (tx) => {
        const row = await store.lockAgent(tx, tenantId, agentId);
        if (row === null) throw unknown(agentId);
        await store.removeAgent(tx, tenantId, agentId);
        return {
          response: agentId,
          events: [agentEvent('agent.unregistered', row, reason)],
          audit: [{ action: 'agent.unregister', resource: 'CoreAgent', resourceId: agentId, detail: { reason } }],
        };
      });
    },

    /** A sign of life: neither audited nor told, unless the agent was lost or begins or ends draining. @throws {NOT_FOUND} {PERMISSION_DENIED} */
    async heartbeat(scope: RequestScope, raw: unknown): Promise<string> {
      const { agentId: named, load, activeTasks, draining } = parseInput(inputs.heartbeat, raw, ['input']);
      const agentId = await requireOwn(scope, named);
      const { tenantId } = scope.principal;
      const status = await beats.add({ tenantId, agentId, load: load ?? null, activeTasks: activeTasks ?? null });
      if (status === null) throw unknown(agentId);
      const wanted = draining == null ? (status === 'lost' ? 'online' : status) : draining ? 'draining' : 'online';
      if (wanted !== status) await settle(tenantId, agentId, () => wanted);
      return agentId;
    },

    /** Those that have been silent for longer than they said are lost. */
    async sweep(): Promise<void> {
      for (const { tenantId, agentId } of await store.findSilent(sql, sweepLimit))
        await settle(tenantId, agentId, (row, nowMs) => (Date.parse(row.expiresAt) < nowMs ? 'lost' : null));
    },
  };
}
