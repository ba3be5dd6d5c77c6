import { ConditionError, EvaluationError } from './evaluationError.ts';
import { type Facts, readOwn } from './facts.ts';

export interface GeoCondition {
  /** ISO 3166 codes, compared with `environment.country`. */
  readonly countries?: readonly string[];
  /** A circle that `environment.latitude` and `environment.longitude` must lie in. */
  readonly within?: { readonly latitude: number; readonly longitude: number; readonly radiusKm: number };
}

const earthRadiusKm = 6_371.0088;

/** @throws {ConditionError} when the circle is none. */
export function compileGeo(geo: GeoCondition): (facts: Facts) => boolean {
  const countries = geo.countries === undefined ? undefined : new Set(geo.countries.map((code) => code.toUpperCase()));
  const { within } = geo;
  if (within !== undefined && !(isPlace(within.latitude, within.longitude) && within.radiusKm >= 0)) {
    throw new ConditionError('expected a latitude, a longitude and a radius of at least 0');
  }
  return ({ environment }) => {
    if (countries !== undefined) {
      const country = readOwn(environment, 'country');
      if (typeof country !== 'string' || !countries.has(country.toUpperCase())) return false;
    }
    if (within === undefined) return true;
    const latitude = readOwn(environment, 'latitude');
    const longitude = readOwn(environment, 'longitude');
    if (latitude === undefined || longitude === undefined) return false;
    if (typeof latitude !== 'number' || typeof longitude !== 'number' || !isPlace(latitude, longitude)) {
      throw new EvaluationError('expected a latitude within 90 and a longitude within 180 degrees');
    }
    return haversineKm(latitude, longitude, within) <= within.radiusKm;
  };
}

function isPlace(latitude: number, longitude: number): boolean {
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180;
}

/** Great-circle distance by the haversine formula (R. W. Sinnott, 1984). */
function haversineKm(
  latitude: number,
  longitude: number,
  to: { readonly latitude: number; readonly longitude: number },
): number {
  const radians = Math.PI / 180;
  const byLatitude = Math.sin(((to.latitude - latitude) * radians) / 2) ** 2;
  const byLongitude = Math.sin(((to.longitude - longitude) * radians) / 2) ** 2;
  const chord = byLatitude + Math.cos(latitude * radians) * Math.cos(to.latitude * radians) * byLongitude;
  return 2 * earthRadiusKm * Math.asin(Math.min(1, Math.sqrt(chord)));
}
