import { isId } from '#shared/ids.ts';

/** All ids in a value, at any depth. */
export function idsIn(value: unknown): readonly string[] {
  if (isId(value)) return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(idsIn);
}

/** Ids of plans that a call names. */
export function plansIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (key === 'planId' && isId(inner) ? [inner] : plansIn(inner)));
}
