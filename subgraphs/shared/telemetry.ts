import { randomFillSync } from 'node:crypto';
import { cpus } from 'node:os';
import { type Logger, type LoggerOptions, pino } from 'pino';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { createComputeMetrics } from './compute/metrics.ts';
import type { LogBuffer } from './logs/buffer.ts';
import { readSparingly } from './metrics/readSparingly.ts';

export type { Logger } from 'pino';

/** Writes JSON lines to standard output, and into the buffer of what is stored. */
export function createLogger(level: string, buffer?: LogBuffer): Logger {
  const output = pino.destination({ fd: 1, sync: true });
  const destination = {
    write(line: string) {
      output.write(line);
      buffer?.line(line);
    },
  };
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: [
        'authorization',
        'headers.authorization',
        '*.authorization',
        'token',
        '*.token',
        'password',
        '*.password',
      ],
      censor: '[redacted]',
    },
  };
  return buffer ? pino(options, destination) : pino(options, output);
}

/** Every budget figure is an edge, so that a histogram says exactly what share of calls held it. Milliseconds. */
export const latencyBucketsMs = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/**
 * From commit to socket, ms: what comes later has failed its subscriber. The guide's longest bound on the way of an event
 * (event_processing); that 95 of 100 come within 20 is what the rows of latency hold.
 */
export const lateDeliveryMs = 100;

/** What modules count by themselves; served together with the process's own. */
export const moduleMetrics = new Registry();

export type Metrics = ReturnType<typeof createMetrics>;

/** The requirements guide's metric names, and the platform's own under `mplp_`. */
export function createMetrics(instance: string) {
  const registry = new Registry();
  // Each look at the loop's delay wakes an idle process: 50 a second instead of 100.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 20 });
  const ofProcess = registry.getMetricsAsArray().map(({ name }) => name);
  const apiResponseTime = new Histogram({
    name: 'api_response_time',
    help: 'Time to answer, ms',
    labelNames: ['method', 'endpoint', 'status'],
    buckets: latencyBucketsMs,
    registers: [registry],
  });
  const requestsTotal = new Counter({
    name: 'mplp_requests_total',
    help: 'Requests of clients to the graph, each once, by how they ended: ok, error, abandoned',
    labelNames: ['module', 'operation', 'status'],
    registers: [registry],
  });
  const responseSeconds = new Histogram({
    name: 'mplp_response_time_seconds',
    help: 'Time a subgraph took, s',
    labelNames: ['module', 'operation'],
    buckets: latencyBucketsMs.map((ms) => ms / 1_000),
    registers: [registry],
  });
  const operationMs = new Histogram({
    name: 'mplp_operation_ms',
    help: 'Time an operation took at the gateway, by its first root field, ms; not what the response cache answers',
    labelNames: ['operation'],
    buckets: latencyBucketsMs,
    registers: [registry],
  });
  const errorRate = new Counter({
    name: 'error_rate',
    help: 'Requests of clients to the graph that ended in errors, each once, by the gravest of them',
    labelNames: ['service', 'error_type', 'severity'],
    registers: [registry],
  });
  const activeConnections = new Gauge({
    name: 'mplp_active_connections',
    help: 'Open subscription sockets',
    labelNames: ['transport'],
    registers: [registry],
  });
  const cacheRequests = new Counter({
    name: 'mplp_cache_requests_total',
    help: 'Cache look-ups',
    labelNames: ['grain', 'result'],
    registers: [registry],
  });
  const deliveredMessages = new Counter({
    name: 'mplp_subscription_messages_total',
    help: 'Messages handed to sockets',
    labelNames: ['subscription'],
    registers: [registry],
  });
  const deliveryMs = new Histogram({
    name: 'mplp_subscription_delivery_ms',
    help: 'From commit to socket, ms',
    buckets: latencyBucketsMs,
    registers: [registry],
  });
  const activeSubscriptions = new Gauge({
    name: 'mplp_active_subscriptions',
    help: 'Running subscriptions',
    labelNames: ['subscription'],
    registers: [registry],
  });
  const subscriptionGroups = new Gauge({
    name: 'mplp_subscription_groups',
    help: 'Groups of identical subscriptions',
    registers: [registry],
  });
  const replayedEvents = new Counter({
    name: 'mplp_subscription_replayed_total',
    help: 'Events replayed to resumed subscribers',
    labelNames: ['subscription'],
    registers: [registry],
  });
  const filledGaps = new Counter({
    name: 'mplp_subscription_gap_events_total',
    help: 'Events the bus did not bring, read from the table',
    labelNames: ['source'],
    registers: [registry],
  });
  const slowConsumers = new Counter({
    name: 'mplp_slow_consumers_total',
    help: 'Subscribers cut because they did not keep up',
    labelNames: ['transport'],
    registers: [registry],
  });
  const realTime = new Counter({
    name: 'mplp_real_time_total',
    help: 'What subscribers were promised: messages, subscriptions and sockets',
    labelNames: ['kind'],
    registers: [registry],
  });
  const realTimeFailures = new Counter({
    name: 'mplp_real_time_failures_total',
    help: `What of it failed on our side: messages over ${lateDeliveryMs} ms late, slow consumers cut, subscriptions and sockets refused or lost`,
    labelNames: ['reason'],
    registers: [registry],
  });
  const handled = new Map<string, number>();
  let sampledAtMs = performance.now();
  new Gauge({
    name: 'requests_per_second',
    help: 'Requests a second since the last scrape',
    labelNames: ['service', 'endpoint'],
    registers: [registry],
    collect() {
      const nowMs = performance.now();
      const seconds = Math.max((nowMs - sampledAtMs) / 1_000, 0.001);
      for (const [endpoint, count] of handled) {
        this.set({ service: 'gateway', endpoint }, count / seconds);
        handled.set(endpoint, 0);
      }
      sampledAtMs = nowMs;
    },
  });
  let coreTimes = cpus().map((core) => core.times);
  new Gauge({
    name: 'cpu_usage_percent',
    help: 'Busy share of each core since the last scrape',
    labelNames: ['instance', 'core'],
    registers: [registry],
    collect() {
      const now = cpus().map((core) => core.times);
      now.forEach((times, core) => {
        const before = coreTimes[core] ?? times;
        const idle = times.idle - before.idle;
        const total =
          Object.values(times).reduce((sum, value) => sum + value, 0) -
          Object.values(before).reduce((sum, value) => sum + value, 0);
        this.set({ instance, core: String(core) }, total > 0 ? 100 * (1 - idle / total) : 0);
      });
      coreTimes = now;
    },
  });
  new Gauge({
    name: 'memory_usage_bytes',
    help: 'Memory of the process',
    labelNames: ['instance', 'type'],
    registers: [registry],
    collect() {
      for (const [type, bytes] of Object.entries(process.memoryUsage())) this.set({ instance, type }, bytes);
    },
  });
  readSparingly(registry, [...ofProcess, 'cpu_usage_percent', 'memory_usage_bytes']);
  return {
    registry,
    apiResponseTime,
    requestsTotal,
    responseSeconds,
    operationMs,
    errorRate,
    activeConnections,
    cacheRequests,
    deliveredMessages,
    deliveryMs,
    activeSubscriptions,
    subscriptionGroups,
    replayedEvents,
    filledGaps,
    slowConsumers,
    realTime,
    realTimeFailures,
    compute: createComputeMetrics(registry),
    countRequest: (endpoint: string) => {
      handled.set(endpoint, (handled.get(endpoint) ?? 0) + 1);
    },
  };
}

const traceparentPattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Continues the caller's W3C trace with a span of our own, or begins one (unsampled) when there is none to continue. */
export function continueTrace(header: string | undefined): string {
  const match = header === undefined ? null : traceparentPattern.exec(header);
  const valid = match && !/^0+$/.test(match[1]!) && !/^0+$/.test(match[2]!);
  const traceId = valid ? match[1]! : randomHex(16);
  return `00-${traceId}-${randomHex(8)}-${valid ? match[3]! : '00'}`;
}

const pool = Buffer.alloc(4_096);
let used = pool.length;

/** A W3C trace of our own, unsampled. */
export function beginTrace(): string {
  return continueTrace(undefined);
}

/** Random bytes drawn from the system by the page: each draw is a system call. */
function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return pool.toString('hex', used - bytes, used);
}
