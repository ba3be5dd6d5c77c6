import type { Graph, GraphResult } from '#shared/graph.ts';
import { createPrincipal } from '#shared/principal.ts';
import { contextTraceId } from '#shared/traceIds.ts';
import { csvLine } from '../files/csv.ts';
import type { FileSource } from '../files/writer.ts';

/** What a report was asked for; times in ISO 8601. */
export interface ReportRequest {
  readonly contextId: string;
  readonly from: string;
  readonly to: string;
  /** Whose rights it is made with. */
  readonly principal: {
    readonly subject: string;
    readonly scopes: readonly string[];
    readonly roles: readonly string[];
    readonly isBounded?: boolean;
  };
}

interface HistoryEvent {
  readonly id: string;
  readonly type: string;
  readonly phase: string | null;
  readonly source: string;
  readonly category: string;
  readonly actor: string;
  readonly occurredAt: string;
  readonly data: unknown;
}

interface HistoryPage {
  readonly trace: {
    readonly events: {
      readonly nodes: readonly HistoryEvent[];
      readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
    };
  } | null;
}

const historyDocument = `query ReportHistory($id: ID!, $after: String) {
  trace(traceId: $id) { events(first: 100, after: $after) {
    nodes { id type phase source category actor occurredAt data } pageInfo { hasNextPage endCursor } } }
}`;

const columns = ['occurredAt', 'type', 'phase', 'source', 'category', 'actor', 'id', 'data'] as const;

/** Counts by name, greatest first. */
function counted(names: Iterable<string>): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries([...counts].toSorted(([, one], [, two]) => two - one));
}

/**
 * The events of a context within a time, oldest first, as the trace module keeps them: of every module, references and
 * states but never content. Read through the graph with the rights of who asked, page by page, so that it is as current as
 * a query and shows no more.
 */
export function createReportSource(graph: Graph): FileSource {
  return async function* write({ tenantId, format, request, createdAt }, signal) {
    const { contextId, from, to, principal: who } = request as unknown as ReportRequest;
    const principal = createPrincipal({ tenantId, ...who });
    const [start, end] = [Date.parse(from), Date.parse(to)];
    const types: string[] = [];
    const actors: string[] = [];
    let first = true;
    if (format === 'csv') yield { text: csvLine(columns), rows: 0, progress: 0 };
    else
      yield {
        text: `{"contextId":${JSON.stringify(contextId)},"from":"${from}","to":"${to}","events":[`,
        rows: 0,
        progress: 0,
      };
    for (let after: string | null = null; ; ) {
      const variables: Readonly<Record<string, unknown>> = { id: contextTraceId(tenantId, contextId), after };
      const answer: GraphResult<HistoryPage> = await graph.execute<HistoryPage>(
        historyDocument,
        variables,
        principal,
        signal,
      );
      const { data, errors } = answer;
      const [failure] = errors;
      if (failure) throw new Error(`the history could not be read: ${failure.code} ${failure.message}`);
      // Nothing has been told of the context yet.
      const page = data?.trace?.events;
      if (!page) break;
      const within = page.nodes.filter(
        ({ occurredAt }) => Date.parse(occurredAt) >= start && Date.parse(occurredAt) < end,
      );
      types.push(...within.map(({ type }) => type));
      actors.push(...within.map(({ actor }) => actor));
      const last = page.nodes.at(-1)?.occurredAt ?? to;
      const progress = Math.min(0.99, Math.max(0, (Date.parse(last) - start) / Math.max(1, end - start)));
      const text = within
        .map((event) => {
          const comma = first ? '' : ',';
          first = false;
          return format === 'csv'
            ? csvLine(columns.map((column) => event[column]))
            : `${comma}\n${JSON.stringify(event)}`;
        })
        .join('');
      yield { text, rows: within.length, progress };
      if (!page.pageInfo.hasNextPage || Date.parse(last) >= end) break;
      after = page.pageInfo.endCursor;
    }
    if (format === 'csv') return;
    const summary = {
      events: types.length,
      byType: counted(types),
      byActor: counted(actors),
      writtenFor: who.subject,
      askedAt: createdAt,
    };
    yield { text: `\n],"summary":${JSON.stringify(summary)}}\n`, rows: 0, progress: 1 };
  };
}
