import type { Window } from '../metrics/reads.ts';

/** Part of arrivals that find all servers busy (Erlang, 1917). @param load arrivals times service, in servers */
export function erlangC(servers: number, load: number): number {
  if (load >= servers) return 1;
  let blocked = 1;
  for (let n = 1; n <= servers; n += 1) blocked = (load * blocked) / (n + load * blocked);
  return blocked / (1 - (load / servers) * (1 - blocked));
}

/**
 * Mean wait of M/G/c (Allen & Cunneen, 1978): that of M/M/c, scaled by how uneven services are. Infinite where more comes than
 * can be served.
 * @param variation squared coefficient of variation of the service
 */
export function meanWaitMs({
  servers,
  perMs,
  serviceMs,
  variation,
}: {
  readonly servers: number;
  readonly perMs: number;
  readonly serviceMs: number;
  readonly variation: number;
}): number {
  const load = perMs * serviceMs;
  if (load === 0) return 0;
  if (load >= servers) return Number.POSITIVE_INFINITY;
  return ((erlangC(servers, load) * serviceMs) / (servers - load)) * ((1 + variation) / 2);
}

export interface QueueForecast {
  readonly waitMs: number;
  /** Busy part of the servers while anything came. */
  readonly utilization: number;
}

/**
 * Mean wait over recorded windows, each as if its rate went on (pointwise stationary approximation; Green & Kolesar, 1991);
 * what a window could not serve stands before the next one (fluid).
 */
export function forecastWait(windows: readonly Window[], servers: number, variation: number): QueueForecast {
  const served = windows.reduce((sum, window) => sum + window.served, 0);
  if (served === 0) return { waitMs: 0, utilization: 0 };
  const serviceMs = windows.reduce((sum, window) => sum + window.serviceMs, 0) / served;
  let backlog = 0;
  let waited = 0;
  let arrived = 0;
  let busyMs = 0;
  let lengthMs = 0;
  for (const window of windows) {
    const perMs = window.arrived / window.lengthMs;
    const capacity = (servers * window.lengthMs) / serviceMs;
    const before = backlog;
    backlog = Math.max(0, backlog + window.arrived - capacity);
    const queueing = meanWaitMs({
      servers,
      perMs: Math.min(perMs, (0.98 * servers) / serviceMs),
      serviceMs,
      variation,
    });
    const standing = (((before + backlog) / 2) * serviceMs) / servers;
    waited += window.arrived * (standing > 0 ? standing : queueing);
    arrived += window.arrived;
    busyMs += Math.min(capacity, before + window.arrived) * serviceMs;
    lengthMs += window.lengthMs;
  }
  return {
    waitMs: arrived === 0 ? 0 : waited / arrived,
    utilization: lengthMs === 0 ? 0 : busyMs / (servers * lengthMs),
  };
}

/** A job as it was recorded. */
export interface RecordedJob {
  readonly arrivedMs: number;
  readonly serviceMs: number;
}

/** Mean wait had as many servers been there: each job in the order they came, on the server that is free first. */
export function replayWaitMs(jobs: readonly RecordedJob[], servers: number): number {
  if (jobs.length === 0) return 0;
  // A binary heap of when servers are free.
  const free = new Float64Array(servers).fill(Number.NEGATIVE_INFINITY);
  let waited = 0;
  for (const { arrivedMs, serviceMs } of jobs) {
    const begins = Math.max(arrivedMs, free[0]!);
    waited += begins - arrivedMs;
    const ends = begins + serviceMs;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= servers) break;
      if (child + 1 < servers && free[child + 1]! < free[child]!) child += 1;
      if (free[child]! >= ends) break;
      free[at] = free[child]!;
      at = child;
    }
    free[at] = ends;
  }
  return waited / jobs.length;
}
