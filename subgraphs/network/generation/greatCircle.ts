export interface Place {
  readonly lat: number;
  readonly lon: number;
}

const earthRadiusKm = 6_371;
/** Light in glass: two thirds of its speed in vacuum. */
const kmPerMs = 200;

/** Distance over the ground, km (haversine). */
export function greatCircleKm(one: Place, other: Place): number {
  const radians = Math.PI / 180;
  const half = (a: number, b: number) => Math.sin(((b - a) * radians) / 2) ** 2;
  const chord =
    half(one.lat, other.lat) + Math.cos(one.lat * radians) * Math.cos(other.lat * radians) * half(one.lon, other.lon);
  return 2 * earthRadiusKm * Math.asin(Math.min(1, Math.sqrt(chord)));
}

/** One way, ms, at least a hundredth; `unknownMs` where one of the places is not known. */
export function latencyBetween(one: Place | null, other: Place | null, unknownMs = 1): number {
  if (one === null || other === null) return unknownMs;
  return Math.max(0.01, Math.round((greatCircleKm(one, other) / kmPerMs) * 1_000) / 1_000);
}
