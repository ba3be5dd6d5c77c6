import { expect, test } from 'vitest';
import { createSql, type SqlTransaction } from '#shared/sql.ts';
import { readExportRequest } from '../../subgraphs/trace/otlp/readRequest.ts';
import { writeDetail } from '../../subgraphs/trace/store/spanDetail.ts';
import { findSpansOf } from '../../subgraphs/trace/store/spans.ts';
import { findTraces } from '../../subgraphs/trace/store/traces.ts';
import { insertSpans, insertTraces, type NewTrace } from '../../subgraphs/trace/store/writeSpans.ts';
import { createTestDatabase } from '../support/database.ts';

const spansOf = (count: number, code: number) =>
  readExportRequest({
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
        scopeSpans: [
          {
            spans: Array.from({ length: count }, (_, at) => ({
              traceId: 'a'.repeat(32),
              spanId: (at + 1).toString(16).padStart(16, '0'),
              name: `step ${at}`,
              startTimeUnixNano: `${1_700_000_000_000 + at}000000`,
              endTimeUnixNano: `${1_700_000_000_005 + at}000000`,
              status: { code },
            })),
          },
        ],
      },
    ],
  }).spans;

test('traces that are made are told as they stand, those that stand already are not; spans of several statements all stand', async () => {
  await using database = await createTestDatabase();
  const sql = createSql(database.url, { applicationName: 'made-traces', max: 2 });
  try {
    const made = (outcome: NewTrace['outcome'], code: number, count = 2): NewTrace => ({
      trace: { tenantId: 'one', id: crypto.randomUUID() },
      w3cId: crypto.randomUUID().replaceAll('-', ''),
      name: 'a "quoted" name, with \\ and {}',
      service: 'shop',
      samplingRate: 0.25,
      by: 'ann',
      spans: spansOf(count, code),
      outcome,
    });
    const wanted = [made('completed', 1, 1_000), made('failed', 2), made(null, 0)];
    const insert = (traces: readonly NewTrace[]) => sql.begin((tx: SqlTransaction) => insertTraces(tx, traces));
    const told = await insert(wanted);
    const ids = wanted.map(({ trace }) => trace.id);
    const byId = (rows: readonly { readonly id: string }[]) => rows.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    expect(told).toHaveLength(3);
    expect(byId(told)).toEqual(byId(await findTraces(sql, 'one', ids)));
    const another = made('completed', 0);
    expect((await insert([...wanted, another])).map(({ id }) => id)).toEqual([another.trace.id]);

    const trace = told.find(({ id }) => id === ids[0])!;
    const spans = wanted[0]!.spans.map((span) => ({ trace, span, detail: writeDetail(span), late: false }));
    await sql.begin((tx) => insertSpans(tx, spans));
    const names = (await findSpansOf(sql, 'one', [trace])).map(({ name }) => name);
    expect(names.toSorted()).toEqual(spans.map(({ span }) => span.name).toSorted());
    await expect(sql.begin((tx) => insertSpans(tx, spans))).rejects.toMatchObject({ code: '23505' });
  } finally {
    await sql.end();
  }
});
