import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frozenPresent } from '../conformance/frozen.ts';
import { openFrozenCheck } from '../conformance/frozenCheck.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

const create = (title: string) => ({
  ...{ module: 'context', action: 'createContext', retry: { maxAttempts: 1 } },
  input: { input: { title, root: { domain: 'undone', environment: 'e' } } },
});
const definition = {
  steps: [
    {
      ...{ stepId: 'made', ...create('made by a step') },
      compensation: {
        ...{ module: 'context', action: 'deleteContext' },
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference of the workflow language
        input: { contextId: '${self.output.context.id}' },
      },
    },
    // A title is expected: it fails, and what stands before it is taken back.
    { stepId: 'refused', dependsOn: ['made'], ...create('') },
  ],
};

describe.each(modes)('workflow executions that are undone, %s', (mode) => {
  let platform: Platform;
  let token: string;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    token = await platform.token({ tenant: 'undone', subject: 'ann', roles: ['admin'] });
  });
  afterAll(() => platform.close());

  async function ask<Data>(document: string, variables: Readonly<Record<string, unknown>> = {}): Promise<Data> {
    const { data, errors } = await platform.query<Data>(document, variables, { token });
    expect(errors).toEqual([]);
    return data!;
  }

  it('stand in the bundle of their context as plans of compensation', async () => {
    const { createContext } = await ask<{ createContext: { context: { id: string } } }>(
      'mutation { createContext(input: { title: "undone", root: { domain: "undone", environment: "e" } }) { context { id } } }',
    );
    const contextId = createContext.context.id;
    const { executeWorkflow } = await ask<{ executeWorkflow: { execution: { id: string }; userErrors: unknown[] } }>(
      'mutation ($input: ExecuteCoreWorkflowInput!) { executeWorkflow(input: $input) { execution { id } userErrors { code message } } }',
      { input: { definition, contextId } },
    );
    expect(executeWorkflow.userErrors).toEqual([]);
    const { id } = executeWorkflow.execution;
    await expect
      .poll(
        async () =>
          (
            await ask<{ workflowExecution: { status: string } }>(
              'query ($id: ID!) { workflowExecution(executionId: $id) { status } }',
              { id },
            )
          ).workflowExecution.status,
        { timeout: 20_000, interval: 100 },
      )
      .toBe('COMPENSATED');
    const { contexts } = await ask<{ contexts: { nodes: { title: string }[] } }>(
      '{ contexts(first: 10, filter: { status: [ACTIVE] }) { nodes { title } } }',
    );
    expect(contexts.nodes.map(({ title }) => title)).not.toContain('made by a step');

    const { exportProtocolBundle: bundle } = await ask<{
      exportProtocolBundle: Record<string, Record<string, unknown>[]>;
    }>('query ($id: ID!) { exportProtocolBundle(contextId: $id) }', { id: contextId });
    const told = { event_family: 'compensation_plan', project_id: contextId, payload: { execution_id: id } };
    expect(bundle['events']!.filter(({ event_family: family }) => family === 'compensation_plan')).toMatchObject([
      { ...told, event_type: 'rollback_planned' },
      { ...told, event_type: 'rollback_executed' },
    ]);
    if (!frozenPresent) return;
    const folder = await mkdtemp(join(tmpdir(), 'mplp-undone-'));
    const script = await openFrozenCheck(folder);
    const { code, output } = await script.run(await script.write('out', bundle), [
      ...['--profile', 'obs', '--compare', 'none', '--require', 'context'],
    ]);
    await rm(folder, { recursive: true, force: true });
    expect(code, output).toBe(0);
    expect(output).toMatch(/\n[1-9]\d* passed, 0 failed\n$/);
  });
});
