import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

const errors = 'userErrors { code message }';
const createContext = `mutation { createContext(input: { title: "networked", root: { domain: "d", environment: "e" } }) { context { id } ${errors} } }`;
const createNetwork = `mutation ($input: CreateNetworkInput!) { createNetwork(input: $input) { network { id } ${errors} } }`;
const establish = `mutation ($input: EstablishConnectionInput!) { establishConnection(input: $input) { connection { id } ${errors} } }`;
const optimize = `mutation ($input: OptimizeRoutesInput!) { optimizeRoutes(input: $input) { optimization { runId state } ${errors} } }`;
const readRun = 'query ($id: ID!) { networkOptimization(runId: $id) { state appliedAt } }';
const retire = `mutation ($id: ID!) { retireNetwork(networkId: $id, reason: "moved away") { network { status } ${errors} } }`;
const read =
  'query ($id: ID!) { network(networkId: $id) { status statusReason refusal governance { lastConfirmId } pendingChange { kind confirmId } links { reserved { total } } } }';
const approve = `mutation ($id: ID!) { approveConfirm(confirmId: $id) { ${errors} } }`;
const reject = `mutation ($id: ID!) { rejectConfirm(confirmId: $id, reason: "we use it") { ${errors} } }`;

interface Network {
  readonly status: string;
  readonly statusReason: string | null;
  readonly refusal: string | null;
  readonly governance: { readonly lastConfirmId: string | null } | null;
  readonly pendingChange: { readonly kind: string; readonly confirmId: string | null } | null;
  readonly links: readonly { readonly reserved: { readonly total: number } }[];
}

describe.each(modes)('a network that people answer for, %s', (mode) => {
  let platform: Platform;
  const tokens: Record<string, string> = {};
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    for (const subject of ['ann', 'olga'])
      tokens[subject] = await platform.token({ tenant: `networked-${mode.length}`, subject, roles: ['admin'] });
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
  async function until(id: string, holds: (network: Network) => boolean): Promise<Network> {
    for (const end = Date.now() + 20_000; ; ) {
      const network = await ask<Network>(read, { id });
      if (holds(network)) return network;
      if (Date.now() > end) throw new Error(`it did not come to that: ${JSON.stringify(network)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  const asked = async (id: string) =>
    (await until(id, ({ pendingChange }) => pendingChange?.confirmId != null)).pendingChange!.confirmId!;
  const settled = (id: string) => until(id, ({ pendingChange }) => pendingChange === null);

  it('is changed as people decide in the Confirms that the graph opens for it', async () => {
    const { context } = await act<{ context: { id: string } }>(createContext, {});
    const [a, b, c] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
    const link = (sourceId: string, targetId: string, latencyMs: number) => ({
      ...{ sourceId, targetId, latencyMs, capacityMbps: 10 },
    });
    const { network } = await act<{ network: { id: string } }>(createNetwork, {
      input: {
        ...{ contextId: context.id, name: 'answered', topologyType: 'OTHER', provision: true },
        nodes: [{ id: a }, { id: b }, { id: c }],
        links: [link(a, b, 1), link(a, c, 2), link(c, b, 2)],
        approval: { approvers: ['olga'] },
      },
    });
    const { id } = network;
    for (const bandwidthMbps of [1, 1])
      await act(establish, {
        input: { networkId: id, source: { nodeId: a }, destination: { nodeId: b }, requirements: { bandwidthMbps } },
      });
    const loads = async () => (await ask<Network>(read, { id })).links.map(({ reserved }) => reserved.total);
    expect(await loads()).toEqual([2, 0, 0]);
    const input = { networkId: id, goals: { latency: 0 }, apply: true };
    const { optimization } = await act<{ optimization: { runId: string; state: string } }>(optimize, { input });
    expect(optimization.state).toBe('WAITING');
    await act(approve, { id: await asked(id) }, 'olga');
    await settled(id);
    expect(await loads()).toEqual([1, 1, 1]);
    expect(await ask(readRun, { id: optimization.runId })).toMatchObject({
      ...{ state: 'APPLIED', appliedAt: expect.any(String) },
    });

    await act(retire, { id });
    await act(reject, { id: await asked(id) }, 'olga');
    const kept = await settled(id);
    expect(kept).toMatchObject({ status: 'ACTIVE' });
    expect(kept.refusal).toContain('we use it');
    await act(retire, { id });
    const confirmId = await asked(id);
    await act(approve, { id: confirmId }, 'olga');
    expect(await settled(id)).toMatchObject({
      ...{ status: 'RETIRED', statusReason: 'moved away', refusal: null },
      governance: { lastConfirmId: confirmId },
    });
    expect(await loads()).toEqual([0, 0, 0]);
  });
});
