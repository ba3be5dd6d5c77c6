import { readFileSync } from 'node:fs';
import { load } from 'js-yaml';
import { z } from 'zod';

const weights = z.record(z.string().min(1), z.number().positive());

const loadDesign = z
  .strictObject({
    measuredAt: z.enum(['gateway', 'service', 'websocket', 'database']),
    arrival: z.enum(['open', 'closed']),
    ratePerSecond: z.number().positive().optional(),
    concurrency: z.number().int().positive().optional(),
    mix: weights,
    dataSet: z.record(z.string(), z.number().int().nonnegative()),
    durationSeconds: z.number().positive(),
    distribution: z.string().min(1),
    notes: z.string().optional(),
    /** What the row has to hold beside the guide's figure. */
    hold: z
      .strictObject({
        /** p99, ms; in the place of twice the bound. */
        p99Ms: z.number().positive(),
        /** CPU of the server's process per operation, us. */
        serverUs: z.number().positive(),
      })
      .optional(),
  })
  .refine(
    (design) => (design.arrival === 'open') === (design.ratePerSecond !== undefined),
    'an open arrival has a ratePerSecond, a closed one has none',
  )
  .refine(
    (design) => (design.arrival === 'closed') === (design.concurrency !== undefined),
    'a closed arrival has a concurrency, an open one has none',
  );

const latencyRow = z.strictObject({
  id: z.string(),
  layer: z.enum(['L1', 'L2', 'L3']),
  area: z.string(),
  operation: z.string(),
  max_ms: z.number().positive(),
  load: loadDesign,
});

const throughputRow = z.strictObject({
  id: z.string(),
  area: z.string(),
  operation: z.string(),
  min: z.number().positive(),
  unit: z.string(),
  load: loadDesign,
});

const figures: z.ZodType = z.record(z.string(), z.unknown());

const budgetsSchema = z.strictObject({
  /** Shared by rows through YAML anchors. */
  mixes: z.record(z.string(), weights),
  dataSets: z.record(z.string(), z.record(z.string(), z.number().int())),
  latency: z.array(latencyRow),
  throughput: z.array(throughputRow),
  horizontal_scaling: figures,
  vertical_scaling: figures,
  resource_utilization: figures,
  availability_requirements: figures,
  application_metrics: figures,
  alert_rules: figures,
});

export type LoadDesign = z.output<typeof loadDesign>;

/** An open load as a row's design has it. */
export const openLoad = ({ ratePerSecond, durationSeconds }: LoadDesign) => ({
  arrival: { kind: 'open' as const, ratePerSecond: ratePerSecond! },
  durationSeconds,
});
export type LatencyRow = z.output<typeof latencyRow>;
export type ThroughputRow = z.output<typeof throughputRow>;
export type BudgetRow = LatencyRow | ThroughputRow;
export type Budgets = z.output<typeof budgetsSchema>;

export function isLatencyRow(row: BudgetRow): row is LatencyRow {
  return 'max_ms' in row;
}

/** Every row, latency before throughput, in the file's order. */
export function allRows(budgets: Budgets): BudgetRow[] {
  return [...budgets.latency, ...budgets.throughput];
}

/** @throws {Error} naming every place that does not fit, or an id that stands twice */
export function readBudgets(file: URL = new URL('./budgets.yaml', import.meta.url)): Budgets {
  const result = budgetsSchema.safeParse(load(readFileSync(file, 'utf8')));
  if (!result.success) throw new Error(`${file.pathname} is not usable:\n${z.prettifyError(result.error)}`);
  const seen = new Set<string>();
  for (const row of allRows(result.data)) {
    if (seen.has(row.id)) throw new Error(`${file.pathname}: the id ${row.id} stands twice`);
    seen.add(row.id);
  }
  return result.data;
}
