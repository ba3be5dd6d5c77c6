import { randomBytes } from 'node:crypto';
import type { Random } from '../load/random.ts';
import { createZipf } from '../load/sampler.ts';
import {
  type CreateWorkload,
  type GraphqlCall,
  type RequestOperation,
  readPath,
  withoutUserErrors,
} from '../load/workload.ts';
import { contextId } from '../seeds/context.ts';
import { operations, services, type TraceSeed, traceIdAt } from '../seeds/trace.ts';

export interface TraceParams {
  readonly seed: TraceSeed;
  readonly tokens: readonly string[];
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
}

const createTrace = `mutation Create($input: CreateTraceInput!) {
  createTrace(input: $input) { trace { id w3cId status } userErrors { code message } }
}`;
const addSpans = `mutation Add($id: ID!, $spans: [TraceSpanInput!]!) {
  addSpans(traceId: $id, spans: $spans) { accepted rejected { index reason } userErrors { code message } }
}`;
const traceQuery = `query Traces($filter: TraceFilter) {
  traces(filter: $filter, first: 20) { nodes { id name status spanCount errorCount } pageInfo { hasNextPage endCursor } }
}`;
const getTrace = 'query Get($id: ID!) { trace(traceId: $id) { id name status spanCount } }';
const traceAnalysis = `query Analysis($id: ID!) {
  traceAnalysis(traceId: $id) { durationMs score grade spans { spanId selfMs } criticalPath { spanId startMs endMs }
    bottlenecks { spanId savingMs } serviceMap { from to calls errors p95Ms } suspectedOrigin { spanId blastRadius } }
}`;
const distributedTrace = `query Distributed($id: ID!) {
  distributedTrace(traceId: $id) { services durationMs timeline { spanId parentSpanId service startMs durationMs }
    serviceMap { from to calls errors p95Ms } crossServiceCalls networkMs completeness related { traceId reason } }
}`;

const spansPerCall = 5;
/** A trace takes spans this often, so that none reaches its 1,000. */
const callsPerTrace = 3;
const hourMs = 3_600_000;

/** Traces opened, filled with five spans a call, listed by the hour and read; contexts by Zipf. */
export const createWorkload: CreateWorkload<TraceParams> = async ({ seed, tokens, mix }) => {
  const zipf = createZipf(seed.contexts);
  const callers = tokens.map((token) => ({ authorization: `Bearer ${token}` }));
  const open: { id: string; calls: number }[] = [];

  const create = (random: Random): GraphqlCall => ({
    query: createTrace,
    variables: { input: { contextId: contextId(zipf.sample(random)), name: `run ${random.integer(100)}` } },
    headers: random.pick(callers),
    check(response) {
      const id = readPath(response.data, 'createTrace', 'trace', 'id');
      if (typeof id === 'string') open.push({ id, calls: 0 });
      return withoutUserErrors(response, 'createTrace');
    },
  });
  const next: Readonly<Record<string, RequestOperation['next']>> = {
    create_trace: create,
    add_spans(random): GraphqlCall {
      if (open.length === 0) return create(random);
      const at = random.integer(open.length);
      const trace = open[at]!;
      trace.calls += 1;
      if (trace.calls >= callsPerTrace) {
        open[at] = open.at(-1)!;
        open.pop();
      }
      const start = Date.now();
      const spans = Array.from({ length: spansPerCall }, (_, place) => ({
        spanId: randomBytes(8).toString('hex'),
        name: operations[place]!,
        service: services[place]!,
        startTimeUnixNano: `${start + place}000000`,
        endTimeUnixNano: `${start + 20 - place}000000`,
        attributes: { 'step.number': place, 'host.name': `host-${random.integer(20)}` },
      }));
      return {
        query: addSpans,
        variables: { id: trace.id, spans },
        headers: random.pick(callers),
        check: ({ data }) => readPath(data, 'addSpans', 'accepted') === spansPerCall || 'not all spans were taken',
      };
    },
    trace_query(random): GraphqlCall {
      // The newer of two: recent hours are asked for more often.
      const back = Math.min(random.next(), random.next()) * 22 * hourMs;
      const to = Date.now() - back;
      return {
        query: traceQuery,
        variables: { filter: { from: new Date(to - hourMs).toISOString(), to: new Date(to).toISOString() } },
        headers: random.pick(callers),
        check: ({ data }) => Array.isArray(readPath(data, 'traces', 'nodes')) || 'no list came back',
      };
    },
    get_trace(random): GraphqlCall {
      const id = traceIdAt(random.integer(seed.traces));
      return {
        query: getTrace,
        variables: { id },
        headers: random.pick(callers),
        check: ({ data }) => readPath(data, 'trace', 'id') === id || 'another trace came back',
      };
    },
    trace_analysis(random): GraphqlCall {
      return {
        query: traceAnalysis,
        variables: { id: traceIdAt(seed.traces + random.integer(seed.large)) },
        headers: random.pick(callers),
        check: ({ data }) => {
          const spans = readPath(data, 'traceAnalysis', 'spans');
          return (Array.isArray(spans) && spans.length === 1_000) || 'not all spans were analysed';
        },
      };
    },
    distributed_trace(random): GraphqlCall {
      return {
        query: distributedTrace,
        variables: { id: traceIdAt(seed.traces + seed.large + random.integer(seed.distributed)) },
        headers: random.pick(callers),
        check: ({ data }) => {
          const timeline = readPath(data, 'distributedTrace', 'timeline');
          return (Array.isArray(timeline) && timeline.length === 100) || 'not all spans came back';
        },
      };
    },
  };
  return { operations: Object.entries(mix).map(([name, weight]) => ({ name, weight, next: next[name]! })) };
};
