import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Platform, sharePlatform } from '../support/platform.ts';
import { type Json, until } from './rig.ts';

let platform: Platform;
let ann: string;
let bob: string;
beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  ann = await platform.token({ tenant: 'reports', subject: 'ann', roles: ['member'] });
  bob = await platform.token({ tenant: 'reports', subject: 'bob', roles: ['member'] });
});

const ask = async (document: string, variables: Json, token: string): Promise<Json> => {
  const { data, errors } = await platform.query<Json>(document, variables, { token });
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  return data;
};
const create = async (input: Json, token = ann): Promise<Json> =>
  (
    await ask(
      'mutation ($input: CreateReportInput!) { createReport(input: $input) { file { id status name contextId } userErrors { code path } } }',
      { input },
      token,
    )
  ).createReport;
const ready = (id: string): Promise<Json> =>
  until(
    async () =>
      (await ask('query ($id: ID!) { report(id: $id) { status progress rowCount downloadPath } }', { id }, ann)).report,
    ({ status }) => status === 'READY',
    30_000,
  );
const download = (path: string, token: string) =>
  fetch(`${platform.url}${path}`, { headers: { authorization: `Bearer ${token}` } });

async function privateContext(): Promise<string> {
  const { createContext } = await ask(
    'mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } userErrors { code message } } }',
    { input: { title: 'reported', root: { domain: 'd', environment: 'e' }, accessControl: { visibility: 'PRIVATE' } } },
    ann,
  );
  const { id } = createContext.context;
  for (const summary of ['one', '=two'])
    await ask(
      'mutation ($id: ID!, $summary: String!) { updateContext(contextId: $id, patch: { summary: $summary }) { userErrors { code } } }',
      { id, summary },
      ann,
    );
  return id;
}

describe('reports', () => {
  it('tell what happened in a context, as JSON and CSV, to who asked and nobody else', async () => {
    const contextId = await privateContext();
    // The history follows the events.
    const events = await until(
      async () => {
        const { file } = await create({ contextId, format: 'JSON' });
        const { downloadPath } = await ready(file.id);
        return JSON.parse(await (await download(downloadPath, ann)).text()) as Json;
      },
      (report) => report.events.length >= 3 && report.summary.byType['context.created'] !== undefined,
      30_000,
    );
    expect(events).toMatchObject({ contextId, summary: { events: events.events.length, writtenFor: 'ann' } });
    expect(events.summary.byType['context.created']).toBe(1);
    expect(JSON.stringify(events)).not.toContain('two');
    const { file } = await create({ contextId, format: 'CSV' });
    expect(file).toMatchObject({ name: `report-${contextId}.csv`, contextId });
    const report = await ready(file.id);
    const text = await (await download(report.downloadPath, ann)).text();
    expect(text.split('\r\n')).toHaveLength(report.rowCount + 2);
    expect((await download(report.downloadPath, bob)).status).toBe(404);
    expect((await create({ contextId, format: 'CSV' }, bob)).userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
    const list = async (token: string) =>
      (await ask('query ($id: ID) { reports(contextId: $id) { nodes { id } } }', { id: contextId }, token)).reports
        .nodes;
    expect((await list(ann)).map(({ id }: Json) => id)).toContain(file.id);
    expect(await list(bob)).toEqual([]);
  });

  it('refuse what they cannot tell', async () => {
    const contextId = await privateContext();
    const refused = async (input: Json) =>
      (await create({ contextId, format: 'CSV', ...input })).userErrors[0]?.path.join('.');
    expect(await refused({ format: 'NDJSON' })).toBe('input.format');
    expect(await refused({ from: '2026-01-01T00:00:00.000Z', to: '2026-02-15T00:00:00.000Z' })).toBe('input.from');
    expect(await refused({ contextId: 'none' })).toBe('input.contextId');
    const { file } = await create({ contextId, format: 'CSV' });
    const cancelled = await ask(
      'mutation ($id: ID!) { cancelReport(id: $id) { file { status } userErrors { code } } }',
      { id: file.id },
      bob,
    );
    expect(cancelled.cancelReport.userErrors).toEqual([{ code: 'NOT_FOUND' }]);
  });
});

afterAll(() => platform?.close());
