import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Platform, sharePlatform } from '../support/platform.ts';
import type { Json } from './rig.ts';

let platform: Platform;
let ann: string;
beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  ann = await platform.token({ tenant: 'imports', subject: 'ann', roles: ['admin'] });
});
afterAll(() => platform.close());

const lines = (values: readonly unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');

async function send(
  path: string,
  body: string | ReadableStream<Uint8Array>,
  token = ann,
  type = 'application/x-ndjson',
) {
  const answer = await fetch(`${platform.url}/v1/import/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': type },
    body,
    duplex: 'half',
  } as RequestInit);
  const text = await answer.text();
  const reports = text.split('\n').filter((line) => line !== '');
  return { status: answer.status, reports: reports.map((line) => JSON.parse(line) as Json) };
}

const context = (title: string, more: object = {}) => ({ title, root: { domain: 'd', environment: 'e' }, ...more });
const titles = async (query: string, token = ann): Promise<string[]> => {
  const { data, errors } = await platform.query<Json>(
    'query ($filter: ContextFilter) { contexts(filter: $filter, first: 100) { totalCount nodes { title } } }',
    { filter: { domain: query } },
    { token },
  );
  expect(errors).toEqual([]);
  return data.contexts.nodes.map(({ title }: Json) => title as string);
};

describe('imports', () => {
  it('store contexts chunk by chunk, and name each line that is refused', async () => {
    const many = Array.from({ length: 903 }, (_, at) => context(`imported ${at}`));
    const body = lines([context(''), ...many]).replace('imported 700"', 'imported 700" oh');
    const { status, reports } = await send('context/contexts?importId=one', body);
    expect(status).toBe(200);
    expect(reports).toMatchObject([
      { chunk: 0, first: 1, last: 500, stored: 499, refused: 1 },
      { chunk: 1, first: 501, last: 904, stored: 403, refused: 1 },
      { done: true, lines: 904, stored: 902, refused: 2 },
    ]);
    expect(reports[0].errors).toEqual([{ line: 1, code: 'VALIDATION_FAILED', message: expect.any(String) }]);
    expect(reports[1].errors).toEqual([{ line: 702, code: 'BAD_REQUEST', message: 'the line is not JSON' }]);
  });

  it('store nothing twice under one id, and go on where they broke off', async () => {
    const token = await platform.token({ tenant: 'imports-twice', subject: 'ann', roles: ['admin'] });
    const all = Array.from({ length: 700 }, (_, at) => ({
      ...context(`once ${at}`),
      root: { domain: 'once', environment: 'e' },
    }));
    const part = await send('context/contexts?importId=two', lines(all.slice(0, 500)), token);
    expect(part.reports.at(-1)).toEqual({ done: true, lines: 500, stored: 500, refused: 0 });
    const whole = await send('context/contexts?importId=two', lines(all), token);
    expect(whole.reports.at(-1)).toEqual({ done: true, lines: 700, stored: 700, refused: 0 });
    const { data } = await platform.query<Json>(
      'query ($filter: ContextFilter) { contexts(filter: $filter, first: 1) { totalCount } }',
      { filter: { domain: 'once' } },
      { token },
    );
    expect(data.contexts.totalCount).toBe(700);
    const other = await send('context/contexts?importId=two', lines([context('something else')]), token);
    expect(other.reports).toEqual([
      expect.objectContaining({ failure: expect.objectContaining({ code: 'IDEMPOTENCY_MISMATCH' }), line: 1 }),
    ]);
  });

  it('report while the rest is still to come', async () => {
    const token = await platform.token({ tenant: 'imports-early', subject: 'ann', roles: ['admin'] });
    let push: (text: string) => void = () => {};
    let end: () => void = () => {};
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        push = (text) => controller.enqueue(Buffer.from(text));
        end = () => controller.close();
      },
    });
    const sending = send('context/contexts?importId=three', body, token);
    push(
      lines(
        Array.from({ length: 500 }, (_, at) => ({
          ...context(`early ${at}`),
          root: { domain: 'early', environment: 'e' },
        })),
      ),
    );
    await expect.poll(() => titles('early', token).then(({ length }) => length), { timeout: 30_000 }).toBe(100);
    end();
    expect((await sending).reports.at(-1)).toMatchObject({ done: true, stored: 500 });
  });

  it('store spans of many traces, each with its resource', async () => {
    const span = (at: number) => ({
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'importer' } }] },
      traceId: (at % 10).toString(16).padStart(31, '0').concat('1'),
      spanId: (at + 1).toString(16).padStart(16, '0'),
      name: `span ${at}`,
      kind: 1,
      startTimeUnixNano: String(1_700_000_000_000_000_000n + BigInt(at)),
      endTimeUnixNano: String(1_700_000_000_000_001_000n + BigInt(at)),
    });
    const all = Array.from({ length: 1_200 }, (_, at) => span(at));
    const { reports } = await send('trace/spans?importId=one', lines([...all, { ...span(5), spanId: 'nothing' }]));
    expect(reports.at(-1)).toEqual({ done: true, lines: 1_201, stored: 1_200, refused: 1 });
    expect(reports.at(-2).errors).toEqual([
      { line: 1_201, code: 'VALIDATION_FAILED', message: expect.stringContaining('spanId') },
    ]);
  });

  it('read CSV and COPY text, the first line naming the fields', async () => {
    const csv = [
      'title,root,tags,summary',
      `"a ""quoted"", one","{""domain"":""table"",""environment"":""e""}","[""x"",""y""]","two
lines"`,
      `short,"{}"`,
      'no json,{,[],',
      'last,"{""domain"":""table"",""environment"":""e""}",,',
    ].join('\r\n');
    // In pieces, so that quotes and letters fall apart.
    const bytes = Buffer.from(csv);
    const pieces = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += 7) controller.enqueue(bytes.subarray(at, at + 7));
        controller.close();
      },
    });
    const read = await send('context/contexts?importId=csv', pieces, ann, 'text/csv; charset=utf-8');
    expect(read.reports[0]).toMatchObject({
      stored: 2,
      refused: 2,
      errors: [
        { line: 3, code: 'BAD_REQUEST', message: 'expected 4 fields, got 2' },
        { line: 4, code: 'BAD_REQUEST', message: 'root: expected JSON' },
      ],
    });
    const copy = 'title\troot\tsummary\ntab\\t and \\\\\t{"domain":"table","environment":"e"}\t\\N\n';
    const copied = await send('context/contexts?importId=copy', copy, ann, 'text/tab-separated-values');
    expect(copied.reports.at(-1)).toMatchObject({ done: true, stored: 1, refused: 0 });
    expect((await titles('table')).toSorted()).toEqual(['a "quoted", one', 'last', 'tab\t and \\']);
    const nameless = await send('context/contexts?importId=none', '1,2\n', ann, 'text/csv');
    expect(nameless.reports[0].failure.code).toBe('BAD_REQUEST');
  });

  it('take frozen documents of any module, the same ones again', async () => {
    const id = crypto.randomUUID();
    const document = {
      meta: { protocol_version: '1.0.0', schema_version: '2.0.0' },
      context_id: id,
      root: { domain: 'frozen', environment: 'e' },
      title: 'frozen',
      status: 'active',
    };
    const body = lines([{ module: 'CONTEXT', object: document }]);
    for (const importId of ['one', 'two']) {
      const { reports } = await send(`protocol/objects?importId=${importId}`, body);
      expect(reports.at(-1)).toEqual({ done: true, lines: 1, stored: 1, refused: 0 });
    }
    const broken = lines([
      { module: 'CONTEXT', object: { ...document, context_id: crypto.randomUUID() } },
      { module: 'CONTEXT', object: { ...document, context_id: crypto.randomUUID(), status: 'nowhere' } },
    ]);
    const { reports } = await send('protocol/objects?importId=three', broken);
    expect(reports[0].errors.map(({ line, code }: Json) => [line, code])).toEqual([
      [1, 'INVALID_STATE'],
      [2, 'VALIDATION_FAILED'],
    ]);
  });

  it('refuse who may not and what is no import', async () => {
    const guest = await platform.token({ tenant: 'imports', subject: 'guest', roles: [] });
    const denied = await send('context/contexts?importId=guest', lines([context('no')]), guest);
    expect(denied.reports).toEqual([
      expect.objectContaining({ failure: expect.objectContaining({ code: 'PERMISSION_DENIED' }) }),
    ]);
    const code = async (sent: ReturnType<typeof send>) => (await sent).reports[0].errors[0].extensions.code as string;
    expect(await code(send('context/nothing?importId=x', lines([1])))).toBe('NOT_ROUTED');
    expect(await code(send('context/contexts', lines([1])))).toBe('VALIDATION_FAILED');
    expect(await code(send('context/contexts?importId=x', 'a,b', ann, 'text/plain'))).toBe('UNSUPPORTED_MEDIA_TYPE');
    const { reports } = await send('context/contexts?importId=odd', '1\n\n[]\n');
    expect(reports[0].errors).toEqual([
      { line: 1, code: 'VALIDATION_FAILED', message: 'expected an object' },
      { line: 3, code: 'VALIDATION_FAILED', message: 'expected an object' },
    ]);
  });
});
