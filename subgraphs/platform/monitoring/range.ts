import { PlatformError } from '#shared/errors.ts';

const hourMs = 3_600_000;
const maxSteps = 1_500;

export interface Range {
  readonly fromMs: number;
  readonly stepMs: number;
  readonly steps: number;
}

/**
 * As `readRange`; one without ends is laid on the multiples of its step, so that steps that are over are the same ones
 * whenever it is asked.
 */
export function readSteadyRange(given: Parameters<typeof readRange>[0], nowMs = Date.now()): Range {
  const range = readRange(given, nowMs);
  if (given.from != null || given.to != null) return range;
  const { stepMs } = range;
  const end = Math.floor(nowMs / stepMs) + 1;
  const steps = Math.min(maxSteps, end - Math.floor(range.fromMs / stepMs));
  return { fromMs: (end - steps) * stepMs, stepMs, steps };
}

/** @throws {VALIDATION_FAILED} where it has no end after its begin, or more than 1,500 steps. */
export function readRange(
  { from, to, stepMs }: { from?: unknown; to?: unknown; stepMs?: number | null | undefined },
  nowMs = Date.now(),
): Range {
  const toMs = (to as Date | null | undefined)?.getTime() ?? nowMs;
  const fromMs = (from as Date | null | undefined)?.getTime() ?? toMs - hourMs;
  if (!(fromMs < toMs))
    throw new PlatformError('VALIDATION_FAILED', 'from: expected a time before `to`', { path: ['from'] });
  const step = stepMs ?? Math.max(1_000, Math.ceil((toMs - fromMs) / 60));
  const steps = Math.ceil((toMs - fromMs) / step);
  if (!(step >= 1_000) || steps > maxSteps)
    throw new PlatformError('VALIDATION_FAILED', `stepMs: expected at least 1,000 and at most ${maxSteps} steps`, {
      path: ['stepMs'],
    });
  return { fromMs, stepMs: step, steps };
}
