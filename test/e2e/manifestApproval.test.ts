import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

const errors = 'userErrors { code message }';
const createManifest = `mutation ($input: CreateCoreManifestInput!) { createManifest(input: $input) { manifest { id } ${errors} } }`;
const setStatus = `mutation ($id: ID!, $status: CoreManifestStatus!) { changeManifestStatus(manifestId: $id, status: $status) { manifest { status pendingChange { status } } ${errors} } }`;
const setModule = `mutation ($id: ID!, $module: CoreModuleId!, $status: CoreModuleStatus!) { setModuleStatus(manifestId: $id, moduleId: $module, status: $status) { manifest { id } ${errors} } }`;
const read = `query ($id: ID!) { coreManifest(manifestId: $id) { status refusal modules { moduleId status } pendingChange { status moduleId confirmId } } }`;
const approve = `mutation ($id: ID!) { approveConfirm(confirmId: $id) { ${errors} } }`;
const reject = `mutation ($id: ID!) { rejectConfirm(confirmId: $id, reason: "we use it") { ${errors} } }`;
const modules = ['CONTEXT', 'ROLE', 'CORE', 'PLAN', 'TRACE', 'EXTENSION'].map((moduleId) => ({
  ...{ moduleId, version: '1.0.0' },
}));

interface Manifest {
  readonly status: string;
  readonly refusal: string | null;
  readonly modules: readonly { readonly moduleId: string; readonly status: string }[];
  readonly pendingChange: { readonly status: string | null; readonly confirmId: string | null } | null;
}

describe.each(modes)('a manifest that people answer for, %s', (mode) => {
  let platform: Platform;
  const tokens: Record<string, string> = {};
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    for (const subject of ['ann', 'olga'])
      tokens[subject] = await platform.token({ tenant: `answered-${mode.length}`, subject, roles: ['admin'] });
  });
  afterAll(() => platform?.close());

  const ask = async <Answer>(document: string, variables: object = {}, who = 'ann'): Promise<Answer> => {
    const answer = await platform.query<Record<string, Answer>>(document, { ...variables }, { token: tokens[who]! });
    expect(answer.errors).toEqual([]);
    return Object.values(answer.data!)[0]!;
  };
  const act = async <Payload>(document: string, variables: object, who = 'ann'): Promise<Payload> => {
    const payload = await ask<Payload & { userErrors: unknown[] }>(document, variables, who);
    expect(payload.userErrors).toEqual([]);
    return payload;
  };
  async function until(id: string, holds: (manifest: Manifest) => boolean): Promise<Manifest> {
    for (const end = Date.now() + 20_000; ; ) {
      const manifest = await ask<Manifest>(read, { id });
      if (holds(manifest)) return manifest;
      if (Date.now() > end) throw new Error(`it did not come to that: ${JSON.stringify(manifest)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  const asked = async (id: string) =>
    (await until(id, ({ pendingChange }) => pendingChange?.confirmId != null)).pendingChange!.confirmId!;

  it('a change waits for the Confirm that the graph opens for it, and is what people decide there', async () => {
    const approval = { approvers: ['olga'], quorum: 'SINGLE' };
    const { manifest } = await act<{ manifest: { id: string } }>(createManifest, { input: { modules, approval } });
    const { id } = manifest;
    expect(await act(setStatus, { id, status: 'ACTIVE' })).toMatchObject({
      manifest: { status: 'DRAFT', pendingChange: { status: 'ACTIVE' } },
    });
    const confirmId = await asked(id);
    expect(await ask('query ($id: ID!) { confirm(id: $id) { id status } }', { id: confirmId }, 'olga')).toMatchObject({
      id: confirmId,
    });
    await act(approve, { id: confirmId }, 'olga');
    expect(await until(id, ({ pendingChange }) => pendingChange === null)).toMatchObject({
      status: 'ACTIVE',
      refusal: null,
    });
    await act(setModule, { id, module: 'EXTENSION', status: 'DISABLED' });
    await act(reject, { id: await asked(id) }, 'olga');
    const refused = await until(id, ({ pendingChange }) => pendingChange === null);
    expect(refused.refusal).toContain('we use it');
    expect(refused.modules.find(({ moduleId }) => moduleId === 'EXTENSION')).toMatchObject({ status: 'ENABLED' });
    await act(setModule, { id, module: 'EXTENSION', status: 'DISABLED' });
    await act(approve, { id: await asked(id) }, 'olga');
    const closed = await until(id, ({ pendingChange }) => pendingChange === null);
    expect(closed.modules.find(({ moduleId }) => moduleId === 'EXTENSION')).toMatchObject({ status: 'DISABLED' });
  });

  it('a context that is created gets plan, role and trace by the rules that each tenant has, through the modules themselves', async () => {
    const { context } = await act<{ context: { id: string } }>(
      `mutation { createContext(input: { title: "ruled", root: { domain: "d", environment: "e" } }) { context { id } ${errors} } }`,
      {},
    );
    const decide = `mutation ($input: DecideCoreOrchestrationInput!) { decideOrchestration(input: $input) { decision { executionId actions { ruleName module } } ${errors} } }`;
    const { decision } = await act<{ decision: { executionId: string; actions: { module: string }[] } }>(decide, {
      input: { eventType: 'context.created', contextId: context.id, dispatch: true },
    });
    // Of one rank, in no order of their own.
    expect(decision.actions.map(({ module }) => module).sort()).toEqual(['plan', 'role', 'trace']);
    const execution = `query ($id: ID!) { workflowExecution(executionId: $id) { status steps { stepId status error { code message } } } }`;
    for (const end = Date.now() + 20_000; ; ) {
      const { status, steps } = await ask<{ status: string; steps: unknown }>(execution, { id: decision.executionId });
      if (status === 'COMPLETED') break;
      if (status === 'FAILED' || Date.now() > end) throw new Error(JSON.stringify({ status, steps }));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const made = `query ($id: ID!) { context(contextId: $id) { plans(first: 5) { nodes { title } } traces(first: 5) { nodes { name } } } }`;
    expect(await ask(made, { id: context.id })).toMatchObject({
      plans: { nodes: [{ title: 'Default plan' }] },
      // Beside the one that the history of events keeps.
      traces: { nodes: expect.arrayContaining([{ name: 'Context' }]) },
    });
  });
});
