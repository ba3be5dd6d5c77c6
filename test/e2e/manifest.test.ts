import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostPlatform, modes, type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';

const errors = 'userErrors { code message }';
const createManifest = `mutation ($input: CreateCoreManifestInput!) { createManifest(input: $input) { manifest { id } ${errors} } }`;
const activate = `mutation ($id: ID!) { changeManifestStatus(manifestId: $id, status: ACTIVE) { manifest { status } ${errors} } }`;
const setModule = `mutation ($id: ID!, $module: CoreModuleId!, $status: CoreModuleStatus!) { setModuleStatus(manifestId: $id, moduleId: $module, status: $status) { manifest { id } ${errors} } }`;
const modules = ['CONTEXT', 'ROLE', 'CORE', 'PLAN', 'TRACE', 'DIALOG'].map((moduleId) => ({
  ...{ moduleId, version: '1.0.0', required: moduleId === 'PLAN' },
}));

describe.each(modes)('a manifest closes modules to its tenant, %s', (mode) => {
  let platform: Platform;
  const tokens: string[] = [];
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    for (const tenant of [`gated-${mode.length}`, `open-${mode.length}`])
      tokens.push(await platform.token({ tenant, subject: 'ann', roles: ['admin'] }));
  });
  afterAll(() => platform.close());
  const ask = (document: string, variables = {}, token = tokens[0]!) =>
    platform.query<Record<string, never>>(document, variables, { token });
  const codes = ({ errors: found }: { errors: readonly { extensions: { code: string } }[] }) =>
    found.map(({ extensions }) => extensions.code);
  const read = 'query ($id: ID!) { context(contextId: $id) { title } dialog(id: $id) { name } }';
  async function until(id: string, closed: boolean) {
    for (const end = Date.now() + 15_000; ; ) {
      const answer = await ask(read, { id });
      if (codes(answer).includes('MODULE_DISABLED') === closed) return answer;
      if (Date.now() > end) throw new Error(`still ${closed ? 'open' : 'closed'}: ${JSON.stringify(answer)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** What an instance that has heard nothing of the tenant before answers its first request, over a socket. */
  async function heardBySocket(query: string): Promise<string> {
    const { tenantId } = (await ask('{ me { tenantId } }')).data!['me'] as unknown as { tenantId: string };
    await using late = await hostPlatform({ databaseUrl: platform.databaseUrl });
    const token = await late.token({ tenant: tenantId, subject: 'ann', roles: ['admin'] });
    const heard = subscribe({ url: late.url, token, query });
    for (const end = Date.now() + 10_000; heard.errors.length + heard.payloads.length === 0 && Date.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 50));
    await heard.close();
    return JSON.stringify([heard.errors, heard.payloads]);
  }

  it('what is disabled answers MODULE_DISABLED, also from what was kept; all else, and other tenants, go on', async () => {
    const made = await ask(
      `mutation { createContext(input: { title: "gated", root: { domain: "d", environment: "e" } }) { context { id } ${errors} } }`,
    );
    const id = (made.data as unknown as { createContext: { context: { id: string } } }).createContext.context.id;
    // Twice, so that the second is one that is kept.
    for (let n = 0; n < 2; n += 1) expect(codes(await until(id, false))).toEqual([]);
    const dialogs = '{ dialogs(first: 1) { nodes { id } } }';
    for (let n = 0; n < 2; n += 1) expect(codes(await ask(dialogs))).toEqual([]);
    const manifest = await ask(createManifest, { input: { modules } });
    const manifestId = (manifest.data as unknown as { createManifest: { manifest: { id: string } } }).createManifest
      .manifest.id;
    const refused = async (module: string) =>
      (await ask(setModule, { id: manifestId, module, status: 'DISABLED' })).data as unknown as {
        setModuleStatus: { userErrors: { code: string; message: string }[] };
      };
    expect((await refused('PLAN')).setModuleStatus.userErrors).toEqual([
      { code: 'INVALID_STATE', message: 'plan is required' },
    ]);
    expect((await refused('ROLE')).setModuleStatus.userErrors[0]!.message).toContain('role is needed by context');
    expect((await refused('DIALOG')).setModuleStatus.userErrors).toEqual([]);
    // A draft closes nothing.
    expect(codes(await ask(read, { id }))).toEqual([]);
    await ask(activate, { id: manifestId });
    const answer = await until(id, true);
    expect(answer.data).toMatchObject({ context: { title: 'gated' }, dialog: null });
    expect(codes(await ask(dialogs))).toEqual(['MODULE_DISABLED']);
    const write = `mutation ($id: ID!) { createDialog(input: { contextId: $id, name: "n" }) { dialog { id } ${errors} } }`;
    expect(codes(await ask(write, { id }))).toEqual(['MODULE_DISABLED']);
    expect(codes(await ask(dialogs, {}, tokens[1]))).toEqual([]);
    const definition = { steps: [{ stepId: 'talk', module: 'dialog', action: 'dialogs' }] };
    const started = await ask(
      `mutation ($input: ExecuteCoreWorkflowInput!) { executeWorkflow(input: $input) { ${errors} } }`,
      { input: { definition } },
    );
    expect(started.data).toMatchObject({ executeWorkflow: { userErrors: [{ code: 'MODULE_DISABLED' }] } });
    const followed = subscribe({
      ...{ url: platform.url, token: tokens[0]!, variables: { id } },
      query: 'subscription ($id: ID!) { messageReceived(dialogId: $id) { cursor } }',
    });
    for (const end = Date.now() + 10_000; followed.errors.length === 0 && Date.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 50));
    await followed.close();
    expect(JSON.stringify(followed.errors)).toContain('MODULE_DISABLED');
    if (mode === 'one process') expect(await heardBySocket(dialogs)).toContain('MODULE_DISABLED');
    await ask(setModule, { id: manifestId, module: 'DIALOG', status: 'ENABLED' });
    expect(codes(await until(id, false))).toEqual([]);
    expect(codes(await ask(dialogs))).toEqual([]);
  });

  it('what concerns the tenant is told in order, and again from where a follower left off', async () => {
    const publish = `mutation ($input: PublishSystemEventInput!) { publishSystemEvent(input: $input) { eventId ${errors} } }`;
    const told = async (eventType: string, data: object) => {
      const { data: answer } = await ask(publish, { input: { eventType, data } });
      expect(answer).toMatchObject({ publishSystemEvent: { userErrors: [] } });
    };
    const query =
      'subscription ($after: String, $types: [String!]) { systemEvents(after: $after, types: $types) { cursor sequence type published actor data } }';
    type Told = { systemEvents: { cursor: string; sequence: number; type: string; data: { n?: number } } };
    const follow = (variables: object) =>
      subscribe<Told>({ url: platform.url, token: tokens[0]!, query, variables: { ...variables } });
    const first = follow({ types: ['walk.*'] });
    // The stream begins when it is followed.
    for (let n = 0; first.payloads.length === 0 && n < 100; n += 1) {
      await told('walk.begun', {});
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await first.close();
    const { cursor, sequence } = first.payloads.at(-1)!.systemEvents;
    for (const n of [1, 2, 3]) await told('walk.went', { n });
    const again = follow({ after: cursor, types: ['walk.went'] });
    await again.until((payloads) => payloads.length >= 3);
    await told('walk.went', { n: 4 });
    await again.until((payloads) => payloads.length >= 4);
    await again.close();
    const seen = again.payloads.map(({ systemEvents }) => systemEvents);
    expect(seen.map(({ data }) => data.n)).toEqual([1, 2, 3, 4]);
    expect(seen.every((one) => one.sequence > sequence)).toBe(true);
    const other = subscribe<Told>({ url: platform.url, token: tokens[1]!, query, variables: { after: cursor } });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await other.close();
    expect(other.payloads).toEqual([]);
    const member = await platform.token({ tenant: `open-${mode.length}`, subject: 'olga', roles: ['member'] });
    expect(codes(await ask(publish, { input: { eventType: 'walk.went' } }, member))).toEqual(['PERMISSION_DENIED']);
  });
});
