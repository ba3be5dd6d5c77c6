import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { type Measured, measuredOf } from '../metrics/reads.ts';
import { choose, type Finding, gainOf, type Search, targetOf, upwards } from './finding.ts';
import { replayWaitMs } from './queueing.ts';
import type { Bottleneck } from './rows.ts';

export interface PlacesSearch extends Search {
  readonly maxExecutions: number | null;
}

/** Executions of a workflow that bounds them, oldest first; times in ms. */
interface BoundedWorkflow {
  readonly id: string;
  readonly places: number;
  readonly jobs: readonly {
    readonly at: number;
    readonly wait: number;
    readonly run: number;
    readonly failed: boolean;
  }[];
}

const mostWorkflows = 100;
const mostJobs = 2_000;
const fewestJobs = 10;

const jobsText = (where: string) => `
SELECT w.id, w.max_executions AS places, COALESCE(json_agg(json_build_object('at', j.at, 'wait', j.wait, 'run', j.run, 'failed', j.failed) ORDER BY j.at), '[]') AS jobs
FROM (SELECT * FROM core.workflow w WHERE w.tenant_id = $1 AND ${where} ORDER BY w.updated_at DESC LIMIT ${mostWorkflows}) w
CROSS JOIN LATERAL (
  SELECT extract(epoch FROM e.created_at)::float8 * 1000 AS at, extract(epoch FROM e.started_at - e.created_at)::float8 * 1000 AS wait,
    extract(epoch FROM e.completed_at - e.started_at)::float8 * 1000 AS run, e.status IN ('failed', 'timed_out', 'compensated') AS failed
  FROM core.execution e WHERE e.tenant_id = $1 AND e.workflow_id = w.id AND e.parent_id IS NULL AND e.started_at IS NOT NULL AND e.completed_at IS NOT NULL
    AND e.created_at > $2::text::timestamptz AND e.created_at <= $3::text::timestamptz
  ORDER BY e.created_at DESC LIMIT ${mostJobs}) j
GROUP BY w.id, w.max_executions`;

/** Executions wait for one of the places of their workflow. */
export async function searchPlaces(search: PlacesSearch): Promise<Finding> {
  const { sql, tenantId, from, until, minGain, deadlineMs } = search;
  const workflows = (await sql.unsafe(
    jobsText(`w.max_executions IS NOT NULL AND w.status = 'active'`),
    [tenantId, from, until],
    { prepare: true },
  )) as unknown as BoundedWorkflow[];
  const bottlenecks: Bottleneck[] = [];
  const changes: Finding['changes'][number][] = [];
  let observations = 0;
  for (const { id, places, jobs } of workflows) {
    observations += jobs.length;
    if (jobs.length < fewestJobs) continue;
    const [wait, run, failed] = timesOf(jobs);
    const before = { count: jobs.length, waitMs: wait.mean, serviceMs: run.mean };
    const last = jobs.at(-1)!;
    const spanMs = Math.max(1, last.at + last.wait + last.run - jobs[0]!.at);
    bottlenecks.push({
      ...{ resource: 'workflow.executions', targetId: id, errors: failed.mean },
      utilization: (jobs.length * run.mean) / (places * spanMs),
      saturation: (jobs.length * wait.mean) / spanMs,
      ...{ meanWaitMs: wait.mean, meanServiceMs: run.mean, blame: wait.mean / Math.max(1, wait.mean + run.mean) },
    });
    const targetMs = targetOf(search, run.mean);
    if (wait.mean <= targetMs) continue;
    const handoverMs = handoverOf(jobs, places, wait.mean);
    const recorded = jobs.map((job) => ({ arrivedMs: job.at, serviceMs: job.run + handoverMs }));
    const best = choose(
      upwards(places, search.maxExecutions ?? Math.min(1_000, places * 4)),
      (candidate) => replayWaitMs(recorded, candidate),
      { targetMs, deadlineMs },
    );
    const predictedGain = best === null ? 0 : gainOf(before, best.waitMs);
    if (best === null || predictedGain < minGain) continue;
    const guard = { target: id, after: null, breached: null };
    changes.push({
      change: {
        ...{ knob: 'workflow.executions', target: id, from: String(places), to: String(best.value), model: 'replay' },
        ...{ predictedGain, measuredGain: null, before },
        reason: `executions wait ${Math.round(wait.mean)} ms for a place; ${Math.round(best.waitMs)} ms are predicted`,
      },
      guards: [
        { ...guard, metric: 'execution.run', before: run.mean, ...sureness(run), limit: run.mean * 1.25 + 5 },
        { ...guard, metric: 'execution.failed', before: failed.mean, ...sureness(failed), limit: failed.mean + 0.05 },
      ],
    });
  }
  return { observations, bottlenecks, changes };
}

const sureness = ({ count, variance }: Measured) => ({ count, variance });

/** What passes until a place that has become free is taken: with it the replay waits as long as was measured. */
function handoverOf(jobs: BoundedWorkflow['jobs'], places: number, waitMs: number): number {
  const waitWith = (handoverMs: number) =>
    replayWaitMs(
      jobs.map((job) => ({ arrivedMs: job.at, serviceMs: job.run + handoverMs })),
      places,
    );
  let [low, high] = [0, 2_000];
  if (waitWith(0) >= waitMs) return 0;
  for (let round = 0; round < 16; round += 1) {
    const middle = (low + high) / 2;
    if (waitWith(middle) < waitMs) low = middle;
    else high = middle;
  }
  return low;
}

function timesOf(jobs: BoundedWorkflow['jobs']): readonly [wait: Measured, run: Measured, failed: Measured] {
  const of = (read: (job: BoundedWorkflow['jobs'][number]) => number) => {
    const values = jobs.map(read);
    return measuredOf({
      count: values.length,
      sum: values.reduce((sum, value) => sum + value, 0),
      squares: values.reduce((sum, value) => sum + value * value, 0),
    });
  };
  return [of(({ wait }) => wait), of(({ run }) => run), of(({ failed }) => Number(failed))];
}

/** The same of one workflow, for those that began after a change. */
export async function measurePlaces(
  db: Sql | SqlTransaction,
  stretch: { readonly tenantId: string; readonly from: string; readonly until: string },
  workflowId: string,
): Promise<{ readonly wait: Measured; readonly run: Measured; readonly failed: Measured }> {
  const [row] = (await db.unsafe(
    jobsText('w.id = $4::uuid'),
    [stretch.tenantId, stretch.from, stretch.until, workflowId],
    { prepare: true },
  )) as unknown as BoundedWorkflow[];
  const [wait, run, failed] = timesOf(row?.jobs ?? []);
  return { wait, run, failed };
}
