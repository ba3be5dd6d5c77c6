export interface ForecastPoint {
  readonly value: number;
  /** Bounds of the interval that 95 of 100 values fall in, if errors go on as they were. */
  readonly lower: number;
  readonly upper: number;
}

export interface Forecast {
  readonly points: readonly ForecastPoint[];
  readonly alpha: number;
  readonly beta: number;
  readonly gamma: number;
  /** Values of a season; 1 where the series is too short for one, so that level and trend alone are smoothed. */
  readonly season: number;
  /** Root of the mean squared error of one step. */
  readonly error: number;
}

const grid = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9] as const;
/** Standard deviations that hold 95 of 100 values. */
const z95 = 1.959964;

/**
 * Forecast by exponential smoothing of level, trend and season, additive (Holt 1957, Winters 1960). The weights are those
 * of a grid with the least squared error of one step; the interval widens with the variance of the steps ahead (Hyndman et
 * al. 2008, class 1). Null for fewer than four values.
 * @param seasonLength values of a season; used where at least two of them are there
 */
export function forecast(values: readonly number[], steps: number, seasonLength: number): Forecast | null {
  if (values.length < 4) return null;
  const season = seasonLength > 1 && values.length >= 2 * seasonLength ? seasonLength : 1;
  let best: Run | null = null;
  for (const alpha of grid)
    for (const beta of grid)
      for (const gamma of season > 1 ? grid : [0]) {
        const found = smooth(values, { alpha, beta, gamma, season });
        if (best === null || found.squaredError < best.squaredError) best = found;
      }
  const { weights, level, trend, seasonal, squaredError } = best!;
  const points = Array.from({ length: steps }, (_, at): ForecastPoint => {
    const ahead = at + 1;
    const value = level + ahead * trend + seasonal[(values.length + at) % season]!;
    let variance = 1;
    for (let step = 1; step < ahead; step += 1) {
      const isSeason = season > 1 && step % season === 0 ? 1 : 0;
      variance += (weights.alpha * (1 + step * weights.beta) + isSeason * weights.gamma * (1 - weights.alpha)) ** 2;
    }
    const spread = z95 * Math.sqrt(squaredError * variance);
    return { value, lower: value - spread, upper: value + spread };
  });
  const { alpha, beta, gamma } = weights;
  return { points, alpha, beta, gamma, season, error: Math.sqrt(squaredError) };
}

interface Weights {
  readonly alpha: number;
  /** Of the trend, as a share of alpha. */
  readonly beta: number;
  readonly gamma: number;
  readonly season: number;
}

interface Run {
  readonly weights: Weights;
  readonly level: number;
  readonly trend: number;
  readonly seasonal: readonly number[];
  readonly squaredError: number;
}

function smooth(values: readonly number[], weights: Weights): Run {
  const { alpha, beta, gamma, season } = weights;
  const mean = (from: number) => values.slice(from, from + season).reduce((sum, value) => sum + value, 0) / season;
  const first = mean(0);
  let trend = season > 1 ? (mean(season) - first) / season : values[1]! - values[0]!;
  let level = season > 1 ? first : values[0]!;
  const seasonal = season > 1 ? values.slice(0, season).map((value) => value - first) : [0];
  let [squared, count] = [0, 0];
  for (let at = season; at < values.length; at += 1) {
    const place = at % season;
    const error = values[at]! - (level + trend + seasonal[place]!);
    squared += error * error;
    count += 1;
    level += trend + alpha * error;
    trend += alpha * beta * error;
    if (season > 1) seasonal[place]! += gamma * (1 - alpha) * error;
  }
  return { weights, level, trend, seasonal, squaredError: squared / count };
}
