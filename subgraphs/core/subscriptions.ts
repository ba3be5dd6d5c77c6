import { type Access, seesPrivate } from '#shared/contextAudience.ts';
import { conditionalAccesses, findPlace, followSight } from '#shared/contextSight.ts';
import { encodeCursor } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import { matchesType, type StreamSubscription } from '#shared/events.ts';
import { parseInput } from '#shared/validation.ts';
import { findClosedContexts, requireVisible, viewerOf } from './access.ts';
import { agentStream } from './agents/agents.ts';
import * as agentInputs from './agents/inputs.ts';
import type { AgentRow } from './agents/rows.ts';
import { allocationStream } from './allocation/queue.ts';
import type { AllocationRow } from './allocation/rows.ts';
import { shownStatus } from './execution/shown.ts';
import { type HealthChange, healthStream } from './health/changes.ts';
import type { ModuleChange } from './health/health.ts';
import * as inputs from './inputs.ts';
import type { CoreExecutionRow, CoreStepExecutionRow } from './rows.ts';
import { platformTenant } from './settings.ts';
import { systemStream } from './systemEvents.ts';

/** Fields of `Subscription` that the core module feeds. */
export const coreSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  systemEvents: {
    module: 'core',
    kind: 'stream',
    streamId: ({ types }, principal) => {
      parseInput(inputs.eventTypes, types, ['types']);
      return systemStream(principal.tenantId);
    },
    types: ['system.*'],
    payload(event) {
      const { type, data, published } = event.data as { type: string; data: unknown; published: boolean };
      const sequence = 'sequence' in event ? event.sequence : 0;
      return {
        ...{ cursor: encodeCursor(event.streamId, sequence), sequence, type, timestamp: event.createdAt },
        ...{ published, data, actor: 'actor' in event ? event.actor : 'system' },
      };
    },
    async admit(_principal, { types }) {
      const wanted = types as readonly string[] | null | undefined;
      return {
        decide: (event) => (wanted == null || matchesType(wanted, String(event.data['type'])) ? 'deliver' : 'skip'),
      };
    },
  },
  modulesChanged: {
    module: 'core',
    kind: 'stream',
    tenantId: platformTenant,
    streamId: () => healthStream,
    types: ['module.*'],
    payload(event) {
      const { module, detail } = event.data['change'] as ModuleChange;
      const sequence = 'sequence' in event ? event.sequence : 0;
      return {
        ...{ cursor: encodeCursor(event.streamId, sequence), sequence, type: event.type, timestamp: event.createdAt },
        ...{ module, detail },
      };
    },
    admit: async () => ({ decide: () => 'deliver' }),
  },
  healthChanged: {
    module: 'core',
    kind: 'stream',
    tenantId: platformTenant,
    streamId: () => healthStream,
    types: ['health.changed'],
    payload(event) {
      const { overall, before, score, components } = event.data['change'] as HealthChange;
      const sequence = 'sequence' in event ? event.sequence : 0;
      return {
        ...{ cursor: encodeCursor(event.streamId, sequence), sequence, timestamp: event.createdAt },
        ...{ overall: overall.toUpperCase(), before: before?.toUpperCase() ?? null, score, components },
      };
    },
    admit: async () => ({ decide: () => 'deliver' }),
  },
  agentsChanged: {
    module: 'core',
    kind: 'stream',
    streamId: ({ capability }, principal) => {
      parseInput(agentInputs.filter.shape.capability, capability, ['capability']);
      return agentStream(principal.tenantId);
    },
    types: ['agent.*'],
    payload(event) {
      const { agent, reason } = event.data as unknown as { agent: AgentRow; reason: string | null };
      const sequence = 'sequence' in event ? event.sequence : 0;
      return {
        ...{ cursor: encodeCursor(event.streamId, sequence), sequence, type: event.type, timestamp: event.createdAt },
        ...{ agent: { ...agent, status: agent.status.toUpperCase() }, reason },
      };
    },
    async admit(_principal, { capability }) {
      return {
        decide: (event) => {
          const agent = event.data['agent'] as AgentRow | undefined;
          return capability == null || agent?.capabilities.includes(String(capability)) ? 'deliver' : 'skip';
        },
      };
    },
  },
  allocationChanged: {
    module: 'core',
    kind: 'stream',
    streamId: (_args, principal) => allocationStream(principal.tenantId),
    types: ['allocation.*'],
    payload(event) {
      const { id, owner, status, leaseEpoch, nodeId } = event.data['allocation'] as AllocationRow;
      const sequence = 'sequence' in event ? event.sequence : 0;
      return {
        ...{ cursor: encodeCursor(event.streamId, sequence), sequence, type: event.type, timestamp: event.createdAt },
        ...{ allocationId: id, owner, status: status.toUpperCase(), epoch: leaseEpoch, nodeId },
      };
    },
    async admit(principal, _args, { sql }) {
      const { tenantId } = principal;
      const viewer = viewerOf(principal);
      // Read before the contexts are: what is told behind it may be newer than they are, what stands before it never is.
      const [stream] = (await sql.unsafe(
        `SELECT (SELECT last_sequence::float8 FROM core.stream_head WHERE tenant_id = $1 AND stream_id = $2) AS head,
           ${viewer === null ? 'NULL::jsonb' : conditionalAccesses('core', '$1')} AS conditional`,
        [tenantId, allocationStream(tenantId)],
        { prepare: true },
      )) as unknown as { head: number | null; conditional: Readonly<Record<string, Access>> | null }[];
      const head = stream?.head ?? 0;
      // What lists show under conditions is asked at each event.
      const conditional = new Map(Object.entries(stream?.conditional ?? {}));
      const closed = new Set(viewer === null ? [] : await findClosedContexts(sql, tenantId, viewer));
      return {
        decide(event) {
          if (event.type === 'access.changed') {
            const { contextId: id, access } = event.data as { readonly contextId: string; readonly access: Access };
            if (viewer === null || !('sequence' in event) || event.sequence <= head) return 'skip';
            if (access.visibility === 'PRIVATE' && access.conditional?.length) conditional.set(id, access);
            else conditional.delete(id);
            if (access.visibility === 'PRIVATE' && !seesPrivate(access, principal, id)) closed.add(id);
            else closed.delete(id);
            return 'skip';
          }
          const { contextId } = (event.data['allocation'] ?? {}) as Partial<AllocationRow>;
          const access = contextId == null || viewer === null ? undefined : conditional.get(contextId);
          if (access !== undefined) return seesPrivate(access, principal, contextId) ? 'deliver' : 'skip';
          return contextId != null && closed.has(contextId) ? 'skip' : 'deliver';
        },
      };
    },
  },
  workflowProgress: {
    module: 'core',
    kind: 'stream',
    streamId: (args) => String(args['executionId']),
    types: ['workflow.*', 'step.*', 'signal.*', 'timer.*'],
    payload(event) {
      const execution = event.data['execution'] as CoreExecutionRow | undefined;
      const step = event.data['step'] as CoreStepExecutionRow | null | undefined;
      const sequence = 'sequence' in event ? event.sequence : 0;
      return {
        cursor: encodeCursor(event.streamId, sequence),
        sequence,
        type: event.type,
        timestamp: event.createdAt,
        actor: event.actor,
        executionId: event.streamId,
        status: execution?.status.toUpperCase() ?? null,
        endedSteps: execution?.endedSteps ?? null,
        totalSteps: execution?.totalSteps ?? null,
        stepId: step?.stepId ?? null,
        stepStatus: step ? shownStatus(step) : null,
        attempt: step?.attempt ?? null,
        error: step?.error ?? execution?.error ?? null,
      };
    },
    async admit(principal, args, { sql }) {
      const id = args['executionId'];
      const { tenantId } = principal;
      const found = await findPlace(sql, { schema: 'core', table: 'execution' }, { tenantId, id });
      if (!found) throw new PlatformError('NOT_FOUND', 'no such execution', { path: ['executionId'] });
      await requireVisible(sql, principal, { table: 'execution', id: String(id) });
      const sees = followSight(principal, found);
      return { decide: (event) => (sees(event) ? 'deliver' : 'end') };
    },
  },
};
