import { requireZoneOffset } from '#shared/zoneOffset.ts';
import { ConditionError } from './evaluationError.ts';

export interface LocalTime {
  /** 0 is Sunday. */
  readonly dayOfWeek: number;
  readonly msOfDay: number;
}

export type LocalClock = (timeMs: number) => LocalTime;

const dayMs = 86_400_000;

/**
 * The wall clock of an IANA zone, daylight saving included.
 * @throws {ConditionError} when Node knows no such zone.
 */
export function requireLocalClock(zone: string): LocalClock {
  const offset = offsetOf(zone);
  return (timeMs) => {
    const localMs = timeMs + offset(timeMs);
    const day = Math.floor(localMs / dayMs);
    // 1970-01-01 was a Thursday.
    return { dayOfWeek: (((day + 4) % 7) + 7) % 7, msOfDay: localMs - day * dayMs };
  };
}

function offsetOf(zone: string) {
  try {
    return requireZoneOffset(zone);
  } catch {
    throw new ConditionError(`expected an IANA time zone, got ${zone.slice(0, 60)}`);
  }
}
