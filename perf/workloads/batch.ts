import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { Random } from '../load/random.ts';
import { createZipf } from '../load/sampler.ts';
import { type CreateWorkload, type GraphqlResponse, readPath, type Verdict } from '../load/workload.ts';
import { contextId } from '../seeds/context.ts';

export interface BatchParams {
  readonly url: string;
  readonly origin: string;
  readonly token: string;
  readonly operation: 'context_report' | 'audit_export' | 'stream_export' | 'write_logs' | 'import_spans';
  /** Form of a streamed export. */
  readonly format?: string;
  /** Contexts that can be reported of, and the events of each. */
  readonly contexts?: number;
  readonly eventsPerContext?: number;
  /** Rows that an export has, and the time it ends at. */
  readonly rows?: number;
  readonly to?: string;
  /** Log records of one request. */
  readonly recordsPerRequest?: number;
}

const createReport = `mutation Report($input: CreateReportInput!) {
  createReport(input: $input) { file { id status } userErrors { code message } }
}`;
const exportAudit = `mutation Export($input: PlatformAuditExportInput!) {
  exportAudit(input: $input) { file { id status } userErrors { code message } }
}`;
const fileFields = 'id status failure rowCount byteCount sha256 downloadPath';
const reportState = `query Report($id: ID!) { file: report(id: $id) { ${fileFields} } }`;
const exportState = `query Export($id: ID!) { file: auditExport(id: $id) { ${fileFields} } }`;
const writeLogs = `mutation Write($inputs: [PlatformLogInput!]!) {
  writeLogs(inputs: $inputs) { accepted belowLevel dropped userErrors { code message } }
}`;

const pollMs = 10;
const fullPauseMs = 250;
const giveUpMs = 120_000;
export const bulkOperation = 'bulk';
const spansPerTrace = 100;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface FoundFile {
  readonly id: string;
  readonly status: string;
  readonly failure: string | null;
  readonly rowCount: number;
  readonly byteCount: number;
  readonly sha256: string | null;
  readonly downloadPath: string | null;
}

/** Work that is asked for, done by the platform and fetched, each call until its last byte or its answer is there. */
export const createWorkload: CreateWorkload<BatchParams> = (params) => {
  const { url, origin, token, operation, contexts = 1, eventsPerContext = 0, rows = 0, recordsPerRequest = 1 } = params;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const zipf = createZipf(contexts);
  const facts = { bytes: 0, busyMs: 0, writingMs: 0, accepted: 0, dropped: 0, firstAtMs: 0 };

  async function ask(query: string, variables: unknown): Promise<unknown> {
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
    const { data, errors } = (await response.json()) as GraphqlResponse;
    const [error] = errors ?? [];
    if (error) throw Object.assign(new Error(error.message), { code: error.extensions?.code });
    return data;
  }

  /** Waits until a file is written, fetches it and holds it to what is said of it. */
  async function fetchFile(id: string, stateOf: string): Promise<{ file: FoundFile; body: Buffer } | string> {
    const startedMs = performance.now();
    for (;;) {
      const file = readPath(await ask(stateOf, { id }), 'file') as FoundFile | null;
      if (file === null) return `no file ${id}`;
      if (file.status === 'READY') {
        facts.writingMs += performance.now() - startedMs;
        const response = await fetch(`${origin}${file.downloadPath}`, {
          headers: { authorization: headers.authorization },
        });
        const body = Buffer.from(await response.arrayBuffer());
        if (response.status !== 200 || body.length !== file.byteCount)
          return `expected ${file.byteCount} bytes, got ${body.length} with status ${response.status}`;
        const digest = createHash('sha256').update(body).digest('hex');
        return digest === file.sha256 ? { file, body } : `expected the SHA-256 ${file.sha256}, got ${digest}`;
      }
      if (file.status !== 'QUEUED' && file.status !== 'RUNNING') return `the file is ${file.status}: ${file.failure}`;
      if (performance.now() - startedMs > giveUpMs) return `the file was not ready after ${giveUpMs} ms`;
      await sleep(pollMs);
    }
  }

  async function report(random: Random): Promise<Verdict> {
    const context = contextId(zipf.sample(random));
    const data = await ask(createReport, { input: { contextId: context, format: 'JSON' } });
    const id = readPath(data, 'createReport', 'file', 'id');
    if (typeof id !== 'string') return `no report was begun: ${JSON.stringify(data).slice(0, 300)}`;
    const found = await fetchFile(id, reportState);
    if (typeof found === 'string') return found;
    const written = JSON.parse(found.body.toString()) as {
      contextId: string;
      events: unknown[];
      summary: { events: number };
    };
    facts.bytes += found.body.length;
    // What the asking itself tells of the context may be in it.
    const isWhole = written.events.length >= eventsPerContext && written.summary.events === written.events.length;
    return (
      (written.contextId === context && isWhole) || `expected ${eventsPerContext} events, got ${written.events.length}`
    );
  }

  async function exportRows(): Promise<Verdict> {
    const startedMs = performance.now();
    const data = await ask(exportAudit, { input: { format: 'NDJSON', filter: { modules: ['context'] } } });
    const id = readPath(data, 'exportAudit', 'file', 'id');
    if (typeof id !== 'string') return `no export was begun: ${JSON.stringify(data).slice(0, 300)}`;
    const found = await fetchFile(id, exportState);
    if (typeof found === 'string') return found;
    facts.bytes += found.body.length;
    facts.busyMs += performance.now() - startedMs;
    let lines = 0;
    for (let at = found.body.indexOf(10); at >= 0; at = found.body.indexOf(10, at + 1)) lines += 1;
    return (lines === rows && found.file.rowCount === rows) || `expected ${rows} rows, got ${lines}`;
  }

  /** Reads a streamed export to its end, as fast as it comes, and holds its trailer to the rows there are. */
  async function streamRows(): Promise<Verdict> {
    const startedMs = performance.now();
    const asked = request(
      `${origin}/v1/export/context/audit?format=${params.format}&to=${encodeURIComponent(params.to ?? '')}`,
      {
        headers: { authorization: headers.authorization },
      },
    );
    asked.end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    if (answer.statusCode !== 200) return `the export was refused with ${answer.statusCode}`;
    let bytes = 0;
    for await (const chunk of answer) bytes += (chunk as Buffer).length;
    facts.bytes += bytes;
    facts.busyMs += performance.now() - startedMs;
    const sent = answer.trailers['x-mplp-rows'];
    return Number(sent) === rows || `expected ${rows} rows, got ${sent}`;
  }

  async function write(random: Random): Promise<Verdict> {
    if (facts.firstAtMs === 0) facts.firstAtMs = Date.now();
    const first = random.integer(1e9);
    const inputs = Array.from({ length: recordsPerRequest }, (_, at) => ({
      level: 'INFO',
      module: 'bulk',
      operation: bulkOperation,
      message: `record ${first + at} of what a process has to tell in bulk, as long as such lines are on average`,
      metadata: { n: first + at, step: 'import', source: `file-${at % 20}.ndjson` },
    }));
    const payload = readPath(await ask(writeLogs, { inputs }), 'writeLogs');
    const accepted = Number(readPath(payload, 'accepted'));
    const dropped = Number(readPath(payload, 'dropped'));
    facts.accepted += accepted;
    facts.dropped += dropped;
    // The buffer is full: the writer needs a moment, and the caller would send these again.
    if (dropped > 0) await sleep(fullPauseMs);
    return (
      accepted + dropped === recordsPerRequest ||
      `expected ${recordsPerRequest} outcomes, got ${JSON.stringify(payload)}`
    );
  }

  /** Spans of many traces in one import, until its last report. */
  async function importSpans(random: Random): Promise<Verdict> {
    const run = randomBytes(6).toString('hex');
    const hex = (n: number, digits: number) => n.toString(16).padStart(digits, '0');
    const startNs = BigInt(Date.now()) * 1_000_000n;
    const body = Array.from({ length: recordsPerRequest }, (_, at) =>
      JSON.stringify({
        resource: { attributes: [{ key: 'service.name', value: { stringValue: `service-${at % 7}` } }] },
        traceId: `${run}${hex(Math.floor(at / spansPerTrace) + 1, 20)}`,
        spanId: `${run.slice(0, 4)}${hex(at + 1, 12)}`,
        name: `step ${at % 50} of what an agent does`,
        kind: 1,
        startTimeUnixNano: String(startNs + BigInt(at)),
        endTimeUnixNano: String(startNs + BigInt(at + random.integer(1e6) + 1)),
        attributes: [{ key: 'step', value: { intValue: at } }],
      }),
    ).join('\n');
    const startedMs = performance.now();
    const response = await fetch(`${origin}/v1/import/trace/spans?importId=${run}`, {
      method: 'POST',
      headers: { authorization: headers.authorization, 'content-type': 'application/x-ndjson' },
      body,
    });
    const last = JSON.parse((await response.text()).trim().split('\n').at(-1)!) as { done?: true; stored?: number };
    facts.busyMs += performance.now() - startedMs;
    facts.accepted += last.stored ?? 0;
    return (
      (last.done === true && last.stored === recordsPerRequest) ||
      `expected ${recordsPerRequest} stored, got ${JSON.stringify(last).slice(0, 300)}`
    );
  }

  const call = {
    context_report: report,
    audit_export: exportRows,
    stream_export: streamRows,
    write_logs: write,
    import_spans: importSpans,
  }[operation];
  return { operations: [{ name: operation, weight: 1, call }], facts: () => facts };
};
