import { type ErrorCode, PlatformError, type PlatformErrorOptions } from '../errors.ts';

/** A failure as it crosses from a thread: the structured clone of an error would lose its class and code. */
export interface ComputeFailure {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  /** Set for a PlatformError. */
  readonly code?: ErrorCode;
  readonly options?: Pick<PlatformErrorOptions, 'path' | 'details' | 'retryAfterMs'>;
}

export type ComputeAnswer = { readonly value: unknown } | { readonly failure: ComputeFailure };

export function describeFailure(error: unknown): ComputeFailure {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message, stack } = error;
  if (!(error instanceof PlatformError)) return { name, message, stack };
  const { code, path, details, retryAfterMs } = error;
  return {
    name,
    message,
    stack,
    code,
    options: {
      ...(path === undefined ? {} : { path }),
      ...(details === undefined ? {} : { details }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  };
}

/** The error as it was thrown in the thread, with the thread's stack. */
export function toError({ name, message, stack, code, options }: ComputeFailure): Error {
  const error = code === undefined ? new Error(message) : new PlatformError(code, message, options);
  if (code === undefined) error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
