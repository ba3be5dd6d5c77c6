import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Platform } from '../support/platform.ts';
import { sharePlatform } from '../support/platform.ts';
import { type Json, until } from './rig.ts';

let platform: Platform;
let boss: string;
let ann: string;
beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  boss = await platform.token({ tenant: 'data', subject: 'boss', roles: ['admin'] });
  ann = await platform.token({ tenant: 'data', subject: 'ann-x7', roles: ['admin'] });
});
afterAll(() => platform?.close());

const ask = async (document: string, variables: Json, token: string): Promise<Json> => {
  const { data, errors } = await platform.query(document, variables, { token });
  expect(errors).toEqual([]);
  return data;
};
const createContext = async (token: string, title: string): Promise<string> =>
  (
    await ask(
      'mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } userErrors { code } } }',
      { input: { title, root: { domain: 'd', environment: 'e' } } },
      token,
    )
  ).createContext.context.id;

/** The lines of a finished export of a subject. */
async function exported(subject: string, token = boss): Promise<Json[]> {
  const { exportSubject } = await ask(
    'mutation ($subject: ID!) { exportSubject(subject: $subject) { file { id purpose name } userErrors { code } } }',
    { subject },
    token,
  );
  expect(exportSubject).toMatchObject({
    file: { purpose: 'SUBJECT_EXPORT', name: 'subject-export.ndjson' },
    userErrors: [],
  });
  const { subjectExport } = await until(
    () =>
      ask(
        'query ($id: ID!) { subjectExport(id: $id) { status rowCount downloadPath } }',
        { id: exportSubject.file.id },
        token,
      ),
    ({ subjectExport: file }) => ['READY', 'FAILED'].includes(file.status),
    60_000,
  );
  expect(subjectExport.status).toBe('READY');
  const response = await fetch(`${platform.url}${subjectExport.downloadPath}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const lines = (await response.text()).trimEnd().split('\n');
  expect(lines).toHaveLength(subjectExport.rowCount + 1);
  return lines.map((line) => JSON.parse(line) as Json);
}

describe('the export of a subject', () => {
  it('has each row in which it is named, of every module, and no other row', async () => {
    const contextId = await createContext(ann, 'of ann');
    const foreign = await createContext(boss, 'of the boss');
    const { createDialog } = await ask(
      'mutation ($input: CreateDialogInput!) { createDialog(input: $input) { dialog { id } userErrors { code message } } }',
      { input: { contextId, name: 'talk', participants: [{ subject: 'boss' }] } },
      ann,
    );
    expect(createDialog.userErrors).toEqual([]);
    await ask(
      `mutation ($input: IssueApiTokenInput!) { issueApiToken(input: $input) { token userErrors { code } } }`,
      { input: { name: 'mine', scopes: ['context:read'] } },
      ann,
    );
    const [head, ...rows] = await exported('ann-x7');
    expect(head).toMatchObject({ subject: 'ann-x7', requestedBy: 'boss' });
    const places = new Set(rows.map(({ module, table }) => `${module}.${table}`));
    for (const place of ['context.context', 'context.event', 'context.audit', 'dialog.dialog', 'platform.api_token'])
      expect(places).toContain(place);
    for (const { data } of rows) {
      // Named as a text of its own, not as a part of one.
      expect(JSON.stringify(data)).toContain('"ann-x7"');
      expect(data.tenant_id).toBe(head.tenantId);
      expect(Object.keys(data)).not.toContain('secret_hash');
    }
    expect(rows.some(({ data }) => data.id === contextId)).toBe(true);
    expect(rows.some(({ data }) => data.id === foreign)).toBe(false);
    // Who looked at whose data is on record.
    const { auditEvents } = await ask(
      '{ auditEvents(filter: { actions: ["subject.file.created"] }) { nodes { actor detail } } }',
      {},
      boss,
    );
    expect(auditEvents.nodes).toContainEqual({
      actor: 'boss',
      detail: { format: 'ndjson', contextId: null, subject: 'ann-x7' },
    });
    const [, ...none] = await exported('ann');
    // A subject that begins like another is another; only what asked for it names it.
    expect(none.filter(({ module }) => module !== 'platform')).toEqual([]);
  }, 120_000);

  it('is made by who may, upon a stepped-up authentication, of subjects alone, and seen by no other tenant', async () => {
    const document =
      'mutation ($subject: ID!) { exportSubject(subject: $subject) { file { id } userErrors { code } } }';
    const code = async (token: string, subject = 'ann-x7') => {
      const { data, errors } = await platform.query<Json>(document, { subject }, { token });
      return errors[0]?.extensions.code ?? data?.exportSubject.userErrors[0]?.code ?? null;
    };
    expect(await code(await platform.token({ tenant: 'data', subject: 'bob', roles: ['member'] }))).toBe(
      'PERMISSION_DENIED',
    );
    expect(await code(await platform.token({ tenant: 'data', subject: 'boss', roles: ['admin'], acr: 'pwd' }))).toBe(
      'STEP_UP_REQUIRED',
    );
    for (const subject of ['', 'a b', '%', 'x'.repeat(129)])
      expect(await code(boss, subject)).toBe('VALIDATION_FAILED');
    const stranger = await platform.token({ tenant: 'elsewhere', subject: 'boss', roles: ['admin'] });
    const [head, ...rows] = await exported('ann-x7', stranger);
    expect(head.tenantId).not.toContain('data');
    // What the stranger's own tenant knows of it is that it was asked for.
    expect(new Set(rows.map(({ module }) => module))).toEqual(new Set(rows.length === 0 ? [] : ['platform']));
    const { subjectExports } = await ask('{ subjectExports { nodes { id } } }', {}, boss);
    const seen = await ask(
      'query ($id: ID!) { subjectExport(id: $id) { id } }',
      { id: subjectExports.nodes[0].id },
      stranger,
    );
    expect(seen).toEqual({ subjectExport: null });
  }, 120_000);
});
