import { Counter } from 'prom-client';
import type { EventRow } from '#shared/events.ts';
import { moduleMetrics } from '#shared/telemetry.ts';

const unplaced = new Counter({
  name: 'mplp_trace_unplaced_events_total',
  help: 'Events of objects that nothing is known of, and so of no trace',
  labelNames: ['module'],
  registers: [moduleMetrics],
});

export function countUnplaced({ module }: EventRow): void {
  unplaced.inc({ module });
}
