/** A piecewise constant function of time: `values[i]` holds from `times[i]` until `times[i + 1]`; zero outside; the last value is zero. */
export interface StepFunction {
  readonly times: Float64Array;
  readonly values: Float64Array;
}

export interface WeightedSpan {
  readonly start: number;
  readonly end: number;
  readonly weight: number;
}

/** Sum of the weights of the spans that cover each moment, spans taken as half open: [start, end). O(n log n). */
export function sumSpans(spans: readonly WeightedSpan[]): StepFunction {
  const changes = new Map<number, number>();
  for (const { start, end, weight } of spans) {
    if (end <= start || weight === 0) continue;
    changes.set(start, (changes.get(start) ?? 0) + weight);
    changes.set(end, (changes.get(end) ?? 0) - weight);
  }
  const moments = Float64Array.from(changes.keys()).sort();
  const times: number[] = [];
  const values: number[] = [];
  let value = 0;
  for (const [place, time] of moments.entries()) {
    // Fractions do not add up to the bit: behind the last span nothing is left.
    value = place === moments.length - 1 ? 0 : value + changes.get(time)!;
    if (changes.get(time) === 0 && place < moments.length - 1) continue;
    times.push(time);
    values.push(value);
  }
  return { times: Float64Array.from(times), values: Float64Array.from(values) };
}

export function peakOf({ values }: StepFunction): number {
  return values.reduce((peak, value) => Math.max(peak, value), 0);
}

/** Integral over [from, until). @default the whole line */
export function integrate(
  { times, values }: StepFunction,
  { from = -Infinity, until = Infinity }: { readonly from?: number; readonly until?: number } = {},
): number {
  let total = 0;
  for (let place = 0; place + 1 < times.length; place += 1) {
    const start = Math.max(times[place]!, from);
    const end = Math.min(times[place + 1]!, until);
    if (end > start) total += (end - start) * values[place]!;
  }
  return total;
}
