import { newId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { jsonProblem } from '#shared/validation.ts';
import { codeOf, type Engine, isCrash } from '../engine.ts';
import { judge } from '../manifest/jsonSchemas.ts';
import { findMethod, type ManifestMethod } from '../manifest/manifest.ts';
import type {
  ExtensionCapabilityRow,
  ExtensionExecutionRow,
  ExtensionRow,
  FailureValue,
  HostOperationValue,
  MonitoringLevel,
  RunnableRelease,
} from '../rows.ts';
import type { SandboxOutcome } from '../sandbox/messages.ts';
import type { Breakable } from './breakers.ts';

/** How long after a switch calls fall back to the release before it where the new one breaks, ms. */
export const watchMs = 60_000;

/** One method of a running extension, ready to be called. */
export interface Call {
  readonly extension: ExtensionRow;
  readonly release: RunnableRelease;
  readonly capability: ExtensionCapabilityRow;
  readonly method: ManifestMethod;
  readonly parameters: unknown;
  readonly context: object;
  readonly principal: Principal;
  readonly timeoutMs: number;
  readonly traceparent: string | undefined;
}

/** What running it came to. */
export interface Ran extends Breakable {
  readonly outcome: SandboxOutcome;
  /** Result that fits the output schema. */
  readonly value: unknown;
  readonly failure: FailureValue | null;
  readonly release: RunnableRelease;
  /** What it asked of the platform, where that is kept. */
  readonly asked?: readonly HostOperationValue[];
}

/** Runs the method in its sandbox and judges what it answers. */
export async function runOn(engine: Engine, call: Call, release: RunnableRelease): Promise<Ran> {
  const asked: HostOperationValue[] = [];
  const ran = await judged(engine, call, { release, tell: (one) => void asked.push(one) });
  return asked.length === 0 ? ran : { ...ran, asked };
}

async function judged(
  engine: Engine,
  call: Call,
  { release, tell }: { readonly release: RunnableRelease; readonly tell: (one: HostOperationValue) => void },
): Promise<Ran> {
  const { method, extension } = call;
  const { outcome } = await engine.run({
    extension,
    release,
    method: method.method_name,
    parameters: JSON.stringify(call.parameters ?? null),
    context: JSON.stringify(method.pure ? { config: extension.config ?? {} } : call.context),
    timeoutMs: call.timeoutMs,
    principal: method.pure ? null : call.principal,
    traceparent: call.traceparent,
    ...(levelOf(extension) === 'comprehensive' && { asked: tell }),
  });
  if (!outcome.ok) {
    const { failure } = outcome;
    const declared = failure.kind === 'thrown' && failure.code !== null && method.error_codes.includes(failure.code);
    return {
      outcome,
      value: null,
      release,
      // What a method declares it refuses is an answer; that nobody had a thread for it is not its fault.
      broke: !declared && failure.name !== 'waiting',
      failure: {
        type: failure.kind,
        code: declared ? failure.code! : codeOf(failure),
        message: clean(failure.message),
      },
    };
  }
  const value: unknown = JSON.parse(outcome.value);
  const problem =
    jsonProblem(value, { maxBytes: 8 * 1_048_576, maxDepth: 64 }) ??
    (method.output_schema == null
      ? null
      : judge(`${release.id}/${call.capability.name}/${method.method_name}/output`, method.output_schema, value));
  if (problem === null) return { outcome, value, release, broke: false, failure: null };
  return {
    outcome,
    value: null,
    release,
    broke: true,
    failure: { type: 'output', code: 'OUTPUT_INVALID', message: clean(problem) },
  };
}

/** The release before, while the new one is watched and the call has not had any effect yet. */
export async function fallback(engine: Engine, call: Call, ran: Ran): Promise<Ran | null> {
  const { extension } = call;
  const isWatched =
    extension.reloadedAt !== null &&
    extension.previousReleaseId !== null &&
    Date.now() - Date.parse(extension.reloadedAt) < watchMs;
  if (!isWatched || ran.outcome.ok || !isCrash(ran.outcome.failure) || ran.outcome.hostCalls > 0) return null;
  const release = await engine.runnable(extension.tenantId, extension.previousReleaseId!);
  const method = findMethod(release.manifest, call.capability.name, call.method.method_name);
  return method === undefined ? null : runOn(engine, { ...call, method }, release);
}

/** What is kept of it. */
export function executionOf(call: Call, ran: Ran, times: { readonly durationMs: number; readonly cacheHit: boolean }) {
  const { outcome, failure } = ran;
  const level = levelOf(call.extension);
  const isLogged = (level === 'detailed' || level === 'comprehensive') && outcome.logs.length > 0;
  const execution: ExtensionExecutionRow = {
    tenantId: call.extension.tenantId,
    id: newId(),
    extensionId: call.extension.id,
    contextId: call.extension.contextId,
    capabilityId: call.capability.id,
    releaseId: ran.release.id,
    method: call.method.method_name,
    caller: call.principal.subject,
    status: failure === null ? 'completed' : 'failed',
    crashed: !outcome.ok && isCrash(outcome.failure),
    durationMs: times.durationMs,
    cpuMs: outcome.cpuMs,
    memoryBytes: outcome.memoryBytes,
    hostCalls: outcome.hostCalls,
    cacheHit: times.cacheHit,
    error: failure,
    logs: isLogged ? outcome.logs.map(({ level, text }) => ({ level, text: clean(text) })) : null,
    hostOperations: ran.asked?.map((one) => ({ ...one, operation: clean(one.operation) })) ?? null,
    traceparent: call.traceparent ?? null,
    createdAt: new Date().toISOString(),
  };
  return execution;
}

/** What is kept of an extension's calls. */
export const levelOf = ({ settings }: Pick<ExtensionRow, 'settings'>): MonitoringLevel =>
  settings.monitoringLevel ?? 'detailed';

/** Text of a guest as PostgreSQL can keep it. */
export function clean(text: string): string {
  return text.replaceAll('\0', '').toWellFormed();
}
