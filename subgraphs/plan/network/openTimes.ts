/** Times at which a step may be at work, by what it needs: half-open spans, ascending and apart; the outer ones may be endless. */
export interface OpenTimes {
  readonly from: Float64Array;
  readonly until: Float64Array;
}

/** First start from `at` on that lies with the whole length in one span; `at` where there is none, and for milestones. */
export function earliestFit(open: OpenTimes, at: number, length: number): number {
  if (length <= 0) return at;
  for (let span = firstEndingAfter(open, at); span < open.from.length; span += 1) {
    const start = Math.max(at, open.from[span]!);
    if (start + length <= open.until[span]!) return start;
  }
  return at;
}

/** Last start up to `at` that lies with the whole length in one span; `at` where there is none, and for milestones. */
export function latestFit(open: OpenTimes, at: number, length: number): number {
  if (length <= 0) return at;
  for (let span = Math.min(firstEndingAfter(open, at), open.from.length - 1); span >= 0; span -= 1) {
    const start = Math.min(at, open.until[span]! - length);
    if (start >= open.from[span]!) return start;
  }
  return at;
}

/** How far a fitting start moves at least when it moves later: 0 where it moves freely, Infinity where it never fits again. */
export function leastDelay(open: OpenTimes, start: number, length: number): number {
  if (length <= 0) return 0;
  const span = firstEndingAfter(open, start);
  if (span === open.from.length || start < open.from[span]! || start + length < open.until[span]!) return 0;
  for (let next = span + 1; next < open.from.length; next += 1)
    if (open.from[next]! + length <= open.until[next]!) return open.from[next]! - start;
  return Infinity;
}

/** Whether the whole length lies in one span. */
export function fits(open: OpenTimes, start: number, length: number): boolean {
  if (length <= 0) return true;
  const span = firstEndingAfter(open, start);
  return span < open.from.length && open.from[span]! <= start && start + length <= open.until[span]!;
}

/** What both have. */
export function intersect(left: OpenTimes, right: OpenTimes): OpenTimes {
  const from: number[] = [];
  const until: number[] = [];
  for (let one = 0, other = 0; one < left.from.length && other < right.from.length; ) {
    const start = Math.max(left.from[one]!, right.from[other]!);
    const end = Math.min(left.until[one]!, right.until[other]!);
    if (start < end) {
      from.push(start);
      until.push(end);
    }
    if (left.until[one]! < right.until[other]!) one += 1;
    else other += 1;
  }
  return { from: Float64Array.from(from), until: Float64Array.from(until) };
}

/** The first span that ends after this moment, by bisection; their number where none does. */
function firstEndingAfter({ until }: OpenTimes, at: number): number {
  let low = 0;
  let high = until.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (until[middle]! > at) high = middle;
    else low = middle + 1;
  }
  return low;
}
