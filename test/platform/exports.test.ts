import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSql, type Sql } from '#shared/sql.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import { type Json, until } from './rig.ts';

const create = `mutation ($inputs: [CreateContextInput!]!) {
  createContexts(inputs: $inputs) { results { context { id } } }
}`;
/** What CSV, JSON and COPY have to write in their own way. */
const awkward = 'tab\there, "quotes", a\r\nbreak, a back\\slash, ümläut \\. and 😀';

/** RFC 4180, to the letter: lines end in CRLF. */
function readCsv(text: string): Record<string, string>[] {
  const fields = [...text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/gy)];
  expect(fields.reduce((sum, [all]) => sum + all.length, 0)).toBe(text.length);
  const lines: string[][] = [[]];
  for (const [, quoted, plain, end] of fields) {
    lines.at(-1)!.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'));
    if (end === '\r\n') lines.push([]);
  }
  const [names, ...rows] = lines.slice(0, -1);
  return rows.map((row) => Object.fromEntries(row.map((value, at) => [names![at]!, value])));
}

function readCopy(text: string): string[][] {
  const plain: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', '\\': '\\' };
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) =>
    line.split('\t').map((field) => field.replace(/\\(.)/g, (_all, letter: string) => plain[letter] ?? letter)),
  );
}

const readLines = (text: string): Json[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Json);

describe.each(modes)('exports, %s', (mode) => {
  let platform: Platform;
  let sql: Sql;
  let ann: string;
  let bob: string;
  let root: string;
  let stranger: string;
  const ids: string[] = [];
  let tenantId: string;

  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    sql = createSql(platform.databaseUrl, { applicationName: 'exports-test', max: 2, statementTimeoutMs: 60_000 });
    ann = await platform.token({ tenant: 'exports', subject: 'ann', roles: ['member'] });
    bob = await platform.token({ tenant: 'exports', subject: 'bob', roles: ['member'] });
    root = await platform.token({ tenant: 'exports', subject: 'root', roles: ['admin'] });
    stranger = await platform.token({ tenant: 'elsewhere', subject: 'ann', roles: ['admin'] });
    const inputs = [awkward, 'second', 'hidden'].map((summary, at) => ({
      title: `context ${at}`,
      summary,
      root: { domain: 'd', environment: 'e' },
      ...(summary === 'hidden' ? { accessControl: { visibility: 'PRIVATE' } } : {}),
    }));
    const { data, errors } = await platform.query<Json>(create, { inputs }, { token: ann });
    expect(errors).toEqual([]);
    for (const { context } of data.createContexts.results) ids.push(context.id);
    const [row] = await sql<{ tenantId: string }[]>`
      SELECT tenant_id AS "tenantId" FROM context.context WHERE id = ${ids[0]!}`;
    tenantId = row!.tenantId;
  });
  afterAll(async () => {
    await sql?.end();
    await platform?.close();
  });

  const open = (path: string, token: string) =>
    fetch(`${platform.url}/v1/export/${path}`, { headers: { authorization: `Bearer ${token}` } });
  const text = async (path: string, token = ann) => {
    const answer = await open(path, token);
    expect(answer.status).toBe(200);
    return answer.text();
  };
  const refusal = async (path: string, token = ann): Promise<string> => {
    const answer = await open(path, token);
    expect(answer.ok).toBe(false);
    return ((await answer.json()) as Json).errors[0].extensions.code;
  };
  const exporting = async () => {
    const rows = await sql<{ wait: string | null }[]>`
      SELECT wait_event AS wait FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'mplp-export' AND query LIKE ${`COPY%${tenantId}%`}`;
    return rows.map(({ wait }) => wait);
  };

  it('hand over the same rows in every form', async () => {
    const rows = readLines(await text('context/contexts'));
    expect(rows.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(rows.find(({ id }) => id === ids[0])).toMatchObject({ summary: awkward, root: { domain: 'd' }, version: 1 });
    expect(rows[0]).not.toHaveProperty('join_token_hash');
    const byId = rows.map(({ id, summary }) => [id, summary]);
    const csv = readCsv(await text('context/contexts?format=csv'));
    expect(csv.map((row) => [row['id'], row['summary']])).toEqual(byId);
    const names = Object.keys(rows[0]);
    const copied = readCopy(await text('context/contexts?format=copy'));
    expect(copied.map((row) => [row[names.indexOf('id')], row[names.indexOf('summary')]])).toEqual(byId);
    const binary = Buffer.from(await (await open('context/contexts?format=binary', ann)).arrayBuffer());
    expect(binary.subarray(0, 11).toString('latin1')).toBe('PGCOPY\n\xff\r\n\0');
    expect(binary.subarray(-2)).toEqual(Buffer.from([0xff, 0xff]));
    const parquet = await (await open('context/contexts?format=parquet', ann)).arrayBuffer();
    const objects = (await parquetReadObjects({ file: parquet })) as Json[];
    expect(objects.map(({ id, summary }) => [id, summary])).toEqual(byId);
    expect(objects[0]).toMatchObject({ version: 1, created_at: new Date(rows[0].created_at) });
  });

  it('show each caller what it sees, of its own tenant alone', async () => {
    const seen = async (token: string, query = '') =>
      readLines(await text(`context/contexts${query}`, token)).map(({ id }) => id);
    expect((await seen(bob)).toSorted()).toEqual(ids.slice(0, 2).toSorted());
    expect((await seen(root)).toSorted()).toEqual(ids.toSorted());
    expect(await seen(stranger)).toEqual([]);
    expect(await seen(stranger, `?contextId=${ids[0]}`)).toEqual([]);
    expect(await seen(ann, `?contextId=${ids[1]}`)).toEqual([ids[1]]);
    expect(await seen(ann, '?to=2020-01-01T00:00:00Z')).toEqual([]);
    expect((await seen(ann, '?from=2020-01-01T00:00:00Z')).length).toBe(3);
    for (const path of ['plan/plans', 'confirm/confirms', 'trace/spans', 'dialog/messages'])
      for (const token of [ann, root, stranger]) expect(readLines(await text(path, token))).toEqual([]);
    // The history of each context is a trace.
    const traced = async (token: string) =>
      readLines(await text('trace/traces', token)).map(({ context_id }) => context_id as string);
    await until(
      () => traced(ann),
      (contexts) => ids.every((id) => contexts.includes(id)),
      30_000,
    );
    expect((await traced(bob)).toSorted()).toEqual(ids.slice(0, 2).toSorted());
    expect(await traced(stranger)).toEqual([]);
    const events = readLines(await text(`context/events?contextId=${ids[0]}`, root));
    expect(events[0]).toMatchObject({ stream_id: ids[0], sequence: 1, type: 'context.created' });
    const audit = readLines(await text('context/audit', root));
    expect(audit).toContainEqual(expect.objectContaining({ action: 'bulk.export.started', actor: 'bob' }));
  });

  it('refuse who may not, what is not there, and what makes no sense', async () => {
    expect(await refusal('context/audit')).toBe('PERMISSION_DENIED');
    expect(await refusal('context/events')).toBe('PERMISSION_DENIED');
    const weak = await platform.token({ tenant: 'exports', subject: 'root', roles: ['admin'], acr: '1' });
    expect(await refusal('context/audit', weak)).toBe('STEP_UP_REQUIRED');
    expect(await refusal('context/nothing')).toBe('NOT_ROUTED');
    expect(await refusal('nowhere/contexts')).toBe('NOT_ROUTED');
    expect(await refusal('context/contexts?format=xml')).toBe('VALIDATION_FAILED');
    expect(await refusal('context/contexts?tenant=other')).toBe('VALIDATION_FAILED');
    expect(await refusal("context/contexts?contextId=' OR true --")).toBe('VALIDATION_FAILED');
    expect(await refusal("context/contexts?after=x,' OR true --")).toBe('CURSOR_INVALID');
    expect(await refusal(`context/contexts?after=2020-01-01T00:00:00Z`)).toBe('CURSOR_INVALID');
    expect(await refusal('context/contexts', 'nobody')).toBe('UNAUTHENTICATED');
  });

  it('keep what lies in a private context from who takes no part in it', async () => {
    for (const contextId of ids.slice(1)) {
      const { data, errors } = await platform.query<Json>(
        `mutation ($id: ID!) {
          createPlan(input: { contextId: $id, title: "P", objective: "O", steps: [{ description: "one" }] }) {
            plan { id } userErrors { code message }
          }
        }`,
        { id: contextId },
        { token: ann },
      );
      expect([errors, data.createPlan.userErrors]).toEqual([[], []]);
    }
    const planned = async (token: string) =>
      readLines(await text('plan/plans', token))
        .map(({ context_id }) => context_id as string)
        .toSorted();
    expect(await planned(root)).toEqual(ids.slice(1).toSorted());
    // What has just been heard of is seen once the module has heard of it.
    await until(
      () => planned(ann),
      (contexts) => contexts.length === 2,
      30_000,
    );
    expect(await planned(bob)).toEqual([ids[1]]);
    expect(await planned(stranger)).toEqual([]);
  });

  it('show messages as the caller’s part in the dialog does', async () => {
    const ask = async (document: string, variables: object): Promise<Json> => {
      const { data, errors } = await platform.query<Json>(document, variables as Record<string, unknown>, {
        token: ann,
      });
      expect(errors).toEqual([]);
      return data;
    };
    const { createDialog } = await ask(
      `mutation ($contextId: ID!) {
        createDialog(input: { contextId: $contextId, name: "exported", participants: [{ subject: "bob" }, { subject: "cat", role: APPROVER }] }) {
          dialog { id participants { nodes { id subject } } } userErrors { code message }
        }
      }`,
      { contextId: ids[0] },
    );
    const { id, participants } = createDialog.dialog;
    const cat = participants.nodes.find(({ subject }: Json) => subject === 'cat').id as string;
    const send = `mutation ($id: ID!, $text: String!, $recipients: [ID!], $attachments: [MessageAttachmentInput!]) {
      sendMessage(input: { dialogId: $id, content: { text: $text }, recipients: $recipients, attachments: $attachments }) { userErrors { code message } }
    }`;
    const file = { type: 'text', sizeBytes: 1, url: 'https://example.test/a' };
    await ask(send, {
      id,
      text: awkward,
      attachments: [
        { ...file, name: 'open' },
        { ...file, name: 'approvers', accessPermissions: ['APPROVE'] },
      ],
    });
    await ask(send, { id, text: 'for cat alone', recipients: [cat] });
    const token = (subject: string) => platform.token({ tenant: 'exports', subject, roles: ['member'] });
    const seen = async (of: string, query = '') =>
      readLines(await text(`dialog/messages${query}`, of)).map((message) => message.text as string);
    expect(await seen(ann)).toEqual([awkward, 'for cat alone']);
    expect(await seen(await token('cat'))).toEqual([awkward, 'for cat alone']);
    expect(await seen(bob)).toEqual([awkward]);
    expect(await seen(await token('eve'))).toEqual([]);
    expect(await seen(root)).toEqual([awkward, 'for cat alone']);
    expect(await seen(root, `?after=${id},1`)).toEqual(['for cat alone']);
    expect(await seen(root, `?contextId=${ids[1]}`)).toEqual([]);
    expect(await seen(stranger)).toEqual([]);
    const attached = async (of: string) =>
      readLines(await text('dialog/messages', of)).map(({ attachments }) =>
        attachments.map(({ name }: Json) => name as string),
      );
    expect(await attached(ann)).toEqual([['open', 'approvers'], []]);
    expect(await attached(await token('cat'))).toEqual([['open', 'approvers'], []]);
    expect(await attached(bob)).toEqual([['open']]);
    expect(await attached(root)).toEqual([['open', 'approvers'], []]);
  });

  describe('of many rows', () => {
    const rows = 60_000;
    beforeAll(async () => {
      await sql`
        INSERT INTO context.audit (tenant_id, id, action, resource, resource_id, actor, detail, created_at)
        SELECT ${tenantId}, gen_random_uuid(), 'bulk.test', 'Bulk', n::text, 'ann', jsonb_build_object('n', n, 'text', repeat('x', 1000)), now()
        FROM generate_series(1, ${rows}::int) n`;
    });
    const ofTest = (lines: readonly Json[]) =>
      lines.filter(({ action }) => action === 'bulk.test').map(({ detail }) => detail.n as number);
    const all = Array.from({ length: rows }, (_, at) => at + 1);

    const begin = async (path: string): Promise<IncomingMessage> => {
      const asked = request(`${platform.url}/v1/export/${path}`, {
        headers: { authorization: `Bearer ${root}` },
        agent: false,
      });
      asked.end();
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      return answer;
    };

    it('go on behind the last row that arrived', async () => {
      const answer = await begin('context/audit');
      const { 'x-mplp-export-to': to, 'x-mplp-estimated-rows': estimated } = answer.headers;
      expect(Number(estimated)).toBeGreaterThan(0);
      let received = '';
      answer.setEncoding('utf8');
      for await (const chunk of answer) {
        received += String(chunk);
        if (received.length > 3_000_000) break;
      }
      answer.destroy();
      const whole = readLines(received.slice(0, received.lastIndexOf('\n') + 1));
      expect(whole.length).toBeLessThan(rows);
      const rest = await begin(`context/audit?after=${whole.at(-1).position}&to=${encodeURIComponent(String(to))}`);
      let more = '';
      rest.setEncoding('utf8');
      for await (const chunk of rest) more += String(chunk);
      expect(Number(rest.trailers['x-mplp-rows'])).toBe(readLines(more).length);
      expect(ofTest([...whole, ...readLines(more)])).toEqual(all);
    });

    it('end with their reader, and wait for a slow one at the database', async () => {
      const answer = await begin('context/audit?format=copy');
      // Nobody reads: the server stands at its socket, with next to nothing on the way.
      await until(exporting, (waits) => waits.length === 1 && waits[0] === 'ClientWrite', 30_000);
      answer.destroy();
      await until(exporting, (waits) => waits.length === 0, 30_000);
    });

    it('are two at a time of a tenant', async () => {
      const first = await begin('context/audit');
      const second = await begin('context/audit');
      expect(await refusal('context/contexts')).toBe('QUOTA_EXCEEDED');
      first.destroy();
      second.destroy();
      await until(exporting, (waits) => waits.length === 0, 30_000);
      expect(readLines(await text('context/contexts')).length).toBe(3);
    });

    it('make Parquet of all of them', async () => {
      const answer = await open('context/audit?format=parquet', root);
      const objects = (await parquetReadObjects({ file: await answer.arrayBuffer() })) as Json[];
      expect(typeof objects[0].position).toBe('bigint');
      expect(ofTest(objects.map((row) => ({ ...row, detail: JSON.parse(row.detail) })))).toEqual(all);
    });
  });
});
