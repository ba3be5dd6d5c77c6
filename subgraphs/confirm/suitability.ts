import type { Holder } from './directory.ts';

const levels = ['BEGINNER', 'INTERMEDIATE', 'ADVANCED', 'EXPERT', 'MASTER'];
const weights = { capability: 0.5, availability: 0.3, load: 0.2 } as const;
/** A person before a machine where nothing is said of what has to be known. */
const machineShare = 0.5;

/**
 * How well a holder of a role suits a step, 0 to 1: what it can do of what the step needs, by level; whether it is
 * available; and how little waits for it already.
 */
export function suitability(
  holder: Holder,
  { needs, load, nowMs }: { readonly needs: readonly string[]; readonly load: number; readonly nowMs: number },
): number {
  return (
    weights.capability * capability(holder, needs) +
    weights.availability * Number(isAvailable(holder, nowMs)) +
    weights.load / (1 + load)
  );
}

function capability({ type, capabilities = [] }: Holder, needs: readonly string[]): number {
  if (needs.length === 0) return type === 'AGENT' || type === 'SERVICE' ? machineShare : 1;
  const held = new Map(capabilities.map(({ name, level }) => [name, (levels.indexOf(level) + 1) / levels.length]));
  return needs.reduce((sum, name) => sum + (held.get(name) ?? 0), 0) / needs.length;
}

/** Attributes that a role administrator records: `available: false`, or `unavailableUntil` with a time to come. */
function isAvailable({ attributes }: Holder, nowMs: number): boolean {
  const until = attributes?.['unavailableUntil'];
  return attributes?.['available'] !== false && !(typeof until === 'string' && Date.parse(until) > nowMs);
}
