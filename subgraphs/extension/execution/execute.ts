import { BrokenCircuitError, BulkheadRejectedError, bulkhead, IsolatedCircuitError } from 'cockatiel';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { findIdempotentResponse, type IdempotentCall, isIdempotencyRace } from '#shared/idempotency.ts';
import { createKeyedReader } from '#shared/keyedReader.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { callOf, unknownExtension } from '../commands.ts';
import type { Contexts } from '../contexts.ts';
import { codeOf, type Engine, isCrash } from '../engine.ts';
import * as inputs from '../inputs.ts';
import { judge } from '../manifest/jsonSchemas.ts';
import { findMethod } from '../manifest/manifest.ts';
import type {
  ExtensionCapabilityRow,
  ExtensionExecutionRow,
  ExtensionRow,
  FailureValue,
  RunnableRelease,
} from '../rows.ts';
import { failureOf, type SandboxOutcome } from '../sandbox/messages.ts';
import { capabilityColumns, executionColumns, extensionColumns } from '../store.ts';
import { type Breakers, recoveryMs } from './breakers.ts';
import { type Call, clean, executionOf, fallback, levelOf, type Ran, runOn } from './call.ts';
import type { Recorder } from './recorder.ts';
import { createResultCache } from './resultCache.ts';
import { createTokenBuckets } from './tokenBuckets.ts';

export const defaultCacheTtlSeconds = 3_600;
export interface ExecuteDeps {
  readonly engine: Engine;
  readonly contexts: Contexts;
  readonly breakers: Breakers;
  readonly recorder: Recorder;
  /** Told of each crash once it is recorded. */
  readonly crashed: (extension: ExtensionRow, release: RunnableRelease, failure: FailureValue) => Promise<void>;
}

export interface Executed {
  readonly execution: ExtensionExecutionRow;
  readonly result: unknown;
  readonly cache: { readonly hit: boolean; readonly key: string | null; readonly ttlSeconds: number | null };
}

const running = ['active', 'reloading'];
const unused = { cpuMs: 0, memoryBytes: 0, hostCalls: 0, logs: [] } as const;
/** Calls methods of extensions: state, rate, bulkhead, breaker, input, cache, sandbox, output, record; in that order. */
export function createExecute(runtime: ModuleRuntime, deps: ExecuteDeps) {
  const { config } = runtime;
  const { engine, contexts, breakers, recorder } = deps;
  const keyed = runtime.keyedSql ?? runtime.sql;
  const buckets = createTokenBuckets(config.EXTENSION_CALLS_PER_MINUTE);
  const cache = createResultCache();
  const room = bulkhead(config.EXTENSION_CONCURRENT_CALLS);
  /** Calls with an idempotency key that run here now. */
  const underWay = new Set<string>();
  const extensions = createKeyedReader<{ tenantId: string; id: string }, ExtensionRow>(keyed, {
    text: `SELECT ${extensionColumns}, k.ord::int AS ord FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS k(tenant_id, id, ord) JOIN extension.extension e USING (tenant_id, id)`,
    parametersOf: (keys) => [keys.map(({ tenantId }) => tenantId), keys.map(({ id }) => id)],
  });
  const capabilities = createKeyedReader<{ tenantId: string; id: string }, ExtensionCapabilityRow>(keyed, {
    text: `SELECT ${capabilityColumns}, k.ord::int AS ord FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS k(tenant_id, id, ord) JOIN extension.capability c USING (tenant_id, id)`,
    parametersOf: (keys) => [keys.map(({ tenantId }) => tenantId), keys.map(({ id }) => id)],
  });

  async function requireRunning(tenantId: string, extensionId: string): Promise<ExtensionRow> {
    const row = await extensions.add({ tenantId, id: extensionId });
    if (!row || row.runtimeState === 'uninstalled') throw unknownExtension(extensionId, ['input', 'extensionId']);
    if (!running.includes(row.runtimeState))
      throw new PlatformError('INVALID_STATE', `the extension is ${row.runtimeState.toUpperCase()}`, {
        details: { runtimeState: row.runtimeState.toUpperCase() },
      });
    return row;
  }

  async function requireCapability(extension: ExtensionRow, capabilityId: string): Promise<ExtensionCapabilityRow> {
    const row = await capabilities.add({ tenantId: extension.tenantId, id: capabilityId });
    if (row?.extensionId !== extension.id)
      throw new PlatformError('NOT_FOUND', 'the extension has no such capability', { path: ['input', 'capabilityId'] });
    return row;
  }

  /** What an earlier call with the key came to. */
  async function repeat(call: IdempotentCall | null): Promise<Executed | null> {
    const known = await findIdempotentResponse(runtime.sql, 'extension', call);
    if (known === undefined) return null;
    const { executionId } = known.response as { readonly executionId: string };
    const [row] = (await runtime.sql.unsafe(
      `SELECT ${executionColumns}, x.result FROM extension.execution x WHERE x.tenant_id = $1 AND x.id = $2`,
      [call!.tenantId, executionId],
      { prepare: true },
    )) as unknown as (ExtensionExecutionRow & { result: unknown })[];
    if (!row) throw new PlatformError('NOT_FOUND', 'the execution is no longer kept');
    const { result, ...execution } = row;
    return { execution, result, cache: { hit: false, key: null, ttlSeconds: null } };
  }

  async function perform(
    call: Call,
    { ttlSeconds, idempotent }: { readonly ttlSeconds: number | null; readonly idempotent: IdempotentCall | null },
  ): Promise<Executed> {
    const startedMs = performance.now();
    const { extension, release, method, capability } = call;
    const key =
      method.pure && ttlSeconds !== null
        ? cache.keyOf([
            extension.tenantId,
            extension.id,
            release.id,
            capability.name,
            method.method_name,
            extension.config ?? {},
            call.parameters ?? null,
          ])
        : null;
    const kept = key === null ? undefined : cache.get(key);
    let ran: Ran;
    if (kept !== undefined) {
      ran = {
        outcome: { ok: true, value: kept, ...unused },
        value: JSON.parse(kept),
        failure: null,
        broke: false,
        release,
      };
    } else {
      engine.requireCpu(extension);
      ran = await breakers
        .of(`${extension.tenantId}/${extension.id}`, release.id, `${capability.name}.${method.method_name}`)
        .execute(() => runOn(engine, call, release));
      const other = ran.failure === null ? null : await fallback(engine, call, ran);
      if (other !== null) {
        const lost = executionOf(call, ran, { durationMs: performance.now() - startedMs, cacheHit: false });
        await recorder.record({ execution: lost, result: null, call: null });
        if (lost.crashed) await deps.crashed(extension, release, lost.error!);
        ran = other;
      }
      if (key !== null && ran.failure === null && ran.outcome.ok && ran.release === release)
        cache.set(key, ran.outcome.value, ttlSeconds!);
    }
    const execution = executionOf(call, ran, {
      durationMs: performance.now() - startedMs,
      cacheHit: kept !== undefined,
    });
    await recorder.record({
      execution,
      result: idempotent === null || ran.failure !== null ? null : JSON.stringify(ran.value ?? null),
      call: idempotent,
      isCounted: levelOf(extension) === 'none' && ran.failure === null && idempotent === null,
    });
    if (execution.crashed) await deps.crashed(extension, ran.release, execution.error!);
    return {
      execution,
      result: ran.value,
      cache: { hit: kept !== undefined, key, ttlSeconds: key === null ? null : ttlSeconds },
    };
  }

  /** Within the bulkhead and the breaker. @throws {UNAVAILABLE} {CIRCUIT_OPEN} */
  async function guarded(work: () => Promise<Executed>): Promise<Executed> {
    try {
      return await room.execute(work);
    } catch (error) {
      if (error instanceof BulkheadRejectedError)
        throw new PlatformError('UNAVAILABLE', 'too many calls of extensions are under way', { retryAfterMs: 1_000 });
      if (error instanceof BrokenCircuitError || error instanceof IsolatedCircuitError)
        throw new PlatformError('CIRCUIT_OPEN', 'the method failed too often of late', { retryAfterMs: recoveryMs });
      throw error;
    }
  }

  async function execute(scope: RequestScope, raw: unknown): Promise<Executed> {
    const { idempotencyKey, ...input } = parseInput(inputs.executeExtension, raw);
    const { principal } = scope;
    const idempotent = callOf(scope, idempotencyKey, 'executeExtension', input);
    const known = await repeat(idempotent);
    if (known) return known;
    const extension = await requireRunning(principal.tenantId, input.extensionId);
    if (input.context?.contextId != null && input.context.contextId !== extension.contextId)
      throw new PlatformError('VALIDATION_FAILED', 'contextId: the extension lies in another context', {
        path: ['input', 'context', 'contextId'],
      });
    await contexts.requireActive(principal, extension.contextId);
    const [capability, release] = await Promise.all([
      requireCapability(extension, input.capabilityId),
      engine.runnable(extension.tenantId, extension.currentReleaseId!),
    ]);
    const method = findMethod(release.manifest, capability.name, input.method);
    if (method === undefined)
      throw new PlatformError('METHOD_NOT_FOUND', `${capability.name} has no method ${input.method}`, {
        path: ['input', 'method'],
      });
    buckets.take(`${principal.tenantId}/${principal.subject}/${capability.id}`);
    const problem =
      method.input_schema == null
        ? null
        : judge(
            `${release.id}/${capability.name}/${method.method_name}/input`,
            method.input_schema,
            input.parameters ?? null,
          );
    if (problem !== null)
      throw new PlatformError('INPUT_INVALID', `parameters: ${problem}`, { path: ['input', 'parameters'] });
    const limit = extension.settings.operationTimeoutMs;
    const { sessionId, requestId } = input.context ?? {};
    const call: Call = {
      extension,
      release,
      capability,
      method,
      parameters: input.parameters ?? null,
      principal,
      timeoutMs: Math.min(input.options?.timeoutMs ?? limit, limit),
      traceparent: scope.traceparent,
      context: {
        extensionId: extension.id,
        version: release.version,
        contextId: extension.contextId,
        capability: capability.name,
        userId: principal.subject,
        userType: principal.subjectType,
        sessionId: sessionId ?? null,
        requestId: requestId ?? scope.correlationId,
        config: extension.config ?? {},
      },
    };
    const ttlSeconds =
      input.options?.cacheResult === false ? null : (input.options?.cacheTtl ?? defaultCacheTtlSeconds);
    return guarded(() => perform(call, { ttlSeconds, idempotent }));
  }

  return {
    extensions,

    /**
     * @throws {NOT_FOUND} {INVALID_STATE} {CONTEXT_NOT_ACTIVE} {METHOD_NOT_FOUND} {RATE_LIMITED} {UNAVAILABLE} {CIRCUIT_OPEN}
     *   {INPUT_INVALID} {IDEMPOTENCY_MISMATCH} {IDEMPOTENCY_IN_PROGRESS}; how the method itself failed stands in the execution
     */
    async execute(scope: RequestScope, raw: unknown): Promise<Executed> {
      const { tenantId, subject } = scope.principal;
      const key = (raw as { readonly idempotencyKey?: unknown } | null)?.idempotencyKey;
      if (typeof key !== 'string') return execute(scope, raw);
      const name = JSON.stringify([tenantId, subject, key]);
      if (underWay.has(name))
        throw new PlatformError('IDEMPOTENCY_IN_PROGRESS', 'the first call with this key is still running', {
          path: ['idempotencyKey'],
          retryAfterMs: 100,
        });
      underWay.add(name);
      try {
        return await execute(scope, raw);
      } catch (error) {
        // Another instance was first: its answer counts.
        if (isIdempotencyRace(error)) return execute(scope, raw);
        throw error;
      } finally {
        underWay.delete(name);
      }
    },

    /** Calls a method that is no capability's (a hook) in its extension's own right or its caller's. */
    async callHook(
      extension: ExtensionRow,
      hook: {
        readonly method: string;
        readonly parameters: unknown;
        readonly principal: Principal;
        readonly timeoutMs: number;
        readonly traceparent: string | undefined;
      },
    ): Promise<{ readonly release: RunnableRelease; readonly outcome: SandboxOutcome }> {
      const release = await engine.runnable(extension.tenantId, extension.currentReleaseId!);
      if (engine.lacksCpu(extension))
        return {
          release,
          outcome: { ok: false, failure: failureOf('quota', 'its share of the CPU is used up'), ...unused },
        };
      const { outcome } = await engine.run({
        extension,
        release,
        method: hook.method,
        parameters: JSON.stringify(hook.parameters),
        context: JSON.stringify({
          extensionId: extension.id,
          version: release.version,
          contextId: extension.contextId,
          userId: hook.principal.subject,
          userType: hook.principal.subjectType,
          config: extension.config ?? {},
        }),
        timeoutMs: hook.timeoutMs,
        principal: hook.principal,
        traceparent: hook.traceparent,
      });
      if (!outcome.ok && isCrash(outcome.failure))
        await deps.crashed(extension, release, {
          type: outcome.failure.kind,
          code: codeOf(outcome.failure),
          message: clean(outcome.failure.message),
        });
      return { release, outcome };
    },
  };
}

export type Execute = ReturnType<typeof createExecute>;
