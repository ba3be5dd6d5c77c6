import { errorTable, isErrorCode } from '#shared/errors.ts';
import type { Graph } from '#shared/graph.ts';
import { isId } from '#shared/ids.ts';
import { createPrincipal } from '#shared/principal.ts';
import { jsonProblem } from '#shared/validation.ts';
import type { StoredPrincipal } from '../rows.ts';
import type { Operation } from '../workflow/operations.ts';
import type { CallResult } from './decide.ts';

export const maxOutputBytes = 262_144;

export interface GraphCall {
  readonly tenantId: string;
  readonly executionId: string;
  readonly principal: StoredPrincipal;
  readonly operation: Operation;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly timeoutMs: number;
  /** Aborted when the work is no longer wanted. */
  readonly signal: AbortSignal;
}

const failed = (code: string, message: string, more: Partial<Extract<CallResult, { ok: false }>> = {}): CallResult => ({
  ok: false,
  error: { code, message: message.slice(0, 1_000) },
  retryable: isErrorCode(code) ? errorTable[code].retryable : false,
  unknown: false,
  timedOut: false,
  retryAfterMs: null,
  ...more,
});

/** The trace of an execution has its id: events of what its steps change lead back to it. */
export function traceOf(executionId: string): string {
  const id = executionId.replaceAll('-', '');
  return `00-${id}-${id.slice(0, 16)}-00`;
}

/** The execution whose trace it may be. */
export function executionOf(traceparent: string | undefined): string | null {
  const id = traceparent?.split('-')[1] ?? '';
  const uuid = `${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}-${id.slice(16, 20)}-${id.slice(20)}`;
  return isId(uuid) ? uuid : null;
}

/**
 * Calls a module through the graph with the rights of who started the execution, and says how it ended. An answer is
 * known; no answer is unknown: the call may have had its effect.
 */
export async function callGraph(graph: Graph, call: GraphCall): Promise<CallResult> {
  const timeout = AbortSignal.timeout(call.timeoutMs);
  const principal = createPrincipal({ tenantId: call.tenantId, ...call.principal });
  try {
    const answer = graph.execute(
      call.operation.document,
      call.variables,
      principal,
      AbortSignal.any([timeout, call.signal]),
      traceOf(call.executionId),
    );
    // Who does not heed the signal is not waited for.
    const { data, errors } = await Promise.race([answer, rejected(timeout), rejected(call.signal)]);
    const [error] = errors;
    if (error) {
      const code = isErrorCode(error.code) ? error.code : 'INTERNAL_ERROR';
      const { status, retryable } = errorTable[code];
      return failed(code, error.message, { retryable, unknown: call.operation.kind === 'mutation' && status >= 500 });
    }
    return readPayload(call.operation, data?.[call.operation.field]);
  } catch (error) {
    if (timeout.aborted)
      return failed('STEP_TIMEOUT', `no answer within ${call.timeoutMs} ms`, {
        retryable: true,
        unknown: true,
        timedOut: true,
      });
    return failed('UNAVAILABLE', error instanceof Error ? error.message : String(error), {
      retryable: true,
      unknown: true,
    });
  }
}

function rejected(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

interface PayloadError {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly retryable?: unknown;
  readonly retryAfterMs?: unknown;
}

function readPayload({ kind }: Operation, payload: unknown): CallResult {
  const [error] = ((payload as { userErrors?: readonly PayloadError[] } | null | undefined)?.userErrors ??
    []) as readonly PayloadError[];
  if (kind === 'mutation' && error)
    return failed(String(error.code), String(error.message), {
      ...(typeof error.retryable === 'boolean' ? { retryable: error.retryable } : {}),
      retryAfterMs: typeof error.retryAfterMs === 'number' ? error.retryAfterMs : null,
    });
  const problem = jsonProblem(payload ?? null, { maxBytes: maxOutputBytes });
  // It has happened: its answer alone cannot be kept.
  if (problem) return { ok: true, output: { omitted: problem } };
  return { ok: true, output: payload ?? null };
}
