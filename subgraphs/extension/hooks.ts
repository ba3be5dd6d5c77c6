import { type Consumer, createConsumer } from '#shared/consumer.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { jsonProblem, parseInput } from '#shared/validation.ts';
import type { SubgraphName } from '../names.ts';
import type { Contexts } from './contexts.ts';
import type { Execute } from './execution/execute.ts';
import { hookPoints } from './hookPoints.ts';
import * as inputs from './inputs.ts';
import { configurationAt } from './integrations.ts';
import { isAllowed } from './manifest/conditions.ts';
import { flatten } from './manifest/permissions.ts';
import type { ExtensionRow } from './rows.ts';
import { findExtensions, findHooksAt } from './store.ts';
import { hookPrincipal } from './system.ts';

/** A hook stands in the way of somebody's work, ms. */
const beforeTimeoutMs = 2_000;
const afterTimeoutMs = 10_000;

export interface HooksResult {
  readonly payload: unknown;
  readonly vetoed: boolean;
  readonly vetoReason: string | null;
  readonly vetoedBy: string | null;
  readonly asked: readonly string[];
  readonly failed: readonly string[];
}

/** What a hook before a point answers: another payload, a veto, or nothing. */
interface HookAnswer {
  readonly payload?: unknown;
  readonly veto?: unknown;
}

export interface HooksDeps {
  readonly contexts: Contexts;
  readonly execute: Execute;
}

/** Extensions that are heard at points of other modules' work. */
export function createHooks(runtime: ModuleRuntime, { contexts, execute }: HooksDeps) {
  const { sql } = runtime;

  async function listeners(tenantId: string, contextId: string, point: string, phase: 'before' | 'after') {
    const hooks = await findHooksAt(sql, tenantId, { contextId, point, phase });
    if (hooks.length === 0) return [];
    const rows = await findExtensions(
      sql,
      tenantId,
      hooks.map(({ extensionId }) => extensionId),
    );
    const byId = new Map(rows.map((row) => [row.id, row]));
    return hooks.flatMap((hook) => {
      const extension = byId.get(hook.extensionId);
      return extension === undefined ? [] : [{ hook, extension }];
    });
  }

  /** The events that points after something follow, by module. */
  const followed = Map.groupBy(
    hookPoints.filter(({ events }) => events.length > 0),
    ({ module }) => module,
  );

  async function heard(event: EventRow): Promise<void> {
    for (const { point, events } of followed.get(event.module as 'plan') ?? []) {
      if (!events.includes(event.type)) continue;
      const contextId = contextOf(event);
      if (contextId === null) continue;
      for (const { hook, extension } of await listeners(event.tenantId, contextId, point, 'after')) {
        const principal = hookPrincipal(event.tenantId, flatten(extension.grants));
        const { outcome } = await execute.callHook(extension, {
          method: hook.method,
          parameters: {
            ...{ point, configuration: configurationAt(extension.integrationTargets, point) },
            event: {
              id: event.eventId,
              type: event.type,
              actor: event.actor,
              at: event.createdAt,
              data: shownData(event, extension, { principal, point }),
            },
          },
          principal,
          timeoutMs: Math.min(afterTimeoutMs, extension.settings.operationTimeoutMs),
          traceparent: event.traceparent,
        });
        // Who only listens keeps nobody up: the event is heard, whatever it made of it.
        if (!outcome.ok)
          runtime.logger.info({ extensionId: extension.id, point, kind: outcome.failure.kind }, 'a hook failed');
      }
    }
  }

  return {
    /** @throws {VALIDATION_FAILED} {NOT_FOUND} {UNAVAILABLE} where a hook that is required fails */
    async run(scope: RequestScope, raw: unknown): Promise<HooksResult> {
      const input = parseInput(inputs.runHooks, raw);
      const { principal } = scope;
      const known = hookPoints.find(({ point, phases }) => point === input.point && phases.includes('before'));
      if (known === undefined)
        throw new PlatformError(
          'VALIDATION_FAILED',
          `point: expected one that can be asked before, got ${input.point}`,
          {
            path: ['input', 'point'],
          },
        );
      await contexts.require(principal, input.contextId);
      const asked: string[] = [];
      const failed: string[] = [];
      let payload: unknown = input.payload;
      for (const { hook, extension } of await listeners(principal.tenantId, input.contextId, input.point, 'before')) {
        asked.push(extension.id);
        const { release, outcome } = await execute.callHook(extension, {
          method: hook.method,
          parameters: {
            ...{ point: input.point, payload },
            configuration: configurationAt(extension.integrationTargets, input.point),
          },
          principal,
          timeoutMs: Math.min(input.timeoutMs ?? beforeTimeoutMs, extension.settings.operationTimeoutMs),
          traceparent: scope.traceparent,
        });
        const answer = outcome.ok ? readAnswer(JSON.parse(outcome.value)) : null;
        if (answer === null) {
          const isRequired = release.manifest.hooks.some(
            ({ point, phase, required }) => point === input.point && phase === 'before' && required,
          );
          if (isRequired)
            throw new PlatformError(
              'UNAVAILABLE',
              `the hook of ${extension.name} failed, and nothing goes on without it`,
              {
                details: { extensionId: extension.id },
              },
            );
          failed.push(extension.id);
          continue;
        }
        if (answer.veto !== undefined)
          return {
            payload,
            vetoed: true,
            vetoReason: String(answer.veto).slice(0, 2_000),
            vetoedBy: extension.id,
            asked,
            failed,
          };
        if (answer.payload !== undefined) payload = answer.payload;
      }
      return { payload, vetoed: false, vetoReason: null, vetoedBy: null, asked, failed };
    },

    follow(): Promise<readonly Consumer[]> {
      return Promise.all(
        [...followed].map(([module, points]) =>
          createConsumer({
            name: 'extension.hooks',
            module: module as SubgraphName,
            types: points.flatMap(({ events }) => events),
            sql: (runtime.consumerSqlOf ?? runtime.sqlOf)(module),
            bus: runtime.bus,
            logger: runtime.logger,
            isNeeded: async () =>
              (await sql.unsafe(`SELECT 1 FROM extension.hook WHERE phase = 'after' LIMIT 1`)).length > 0,
            async handle(events) {
              for (const event of events) await heard(event);
            },
          }),
        ),
      );
    },
  };
}

export type Hooks = ReturnType<typeof createHooks>;

/** Null for what is no answer at all. */
function readAnswer(value: unknown): HookAnswer | null {
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) return null;
  const answer = value as HookAnswer;
  return answer.payload !== undefined && jsonProblem(answer.payload) !== null ? null : answer;
}

function contextOf({ module, type, streamId, data }: EventRow): string | null {
  if (module === 'context' && type.startsWith('context.')) return streamId;
  for (const value of [data, ...Object.values(data)]) {
    const contextId = (value as { readonly contextId?: unknown } | null)?.contextId;
    if (isId(contextId)) return contextId;
  }
  return null;
}

/** Ids and states of what happened; its content only where the extension may read the module. */
function shownData(
  event: EventRow,
  extension: ExtensionRow,
  { principal, point }: { readonly principal: Principal; readonly point: string },
): object {
  const permission = `${event.module}:read`;
  const question = { extension, principal, permission, operation: point, nowMs: Date.now() };
  if (isAllowed(extension.grants, question)) return event.data;
  const shown: Record<string, unknown> = { streamId: event.streamId };
  for (const [name, value] of Object.entries(event.data)) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) continue;
    const { id, status } = value as { readonly id?: unknown; readonly status?: unknown };
    shown[name] = { ...(isId(id) ? { id } : {}), ...(typeof status === 'string' ? { status } : {}) };
  }
  return shown;
}
