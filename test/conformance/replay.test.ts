import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Platform, sharePlatform } from '../support/platform.ts';
import { frozenFlows, frozenPresent, type NamedObject } from './frozen.ts';
import { type FrozenCheck, openFrozenCheck } from './frozenCheck.ts';

type Json = Record<string, unknown>;

/** The flows that context, plan and collab tell, as they are recorded on the way in. */
const flows = frozenPresent
  ? frozenFlows()
      .filter(({ label }) => label.endsWith('/input'))
      .filter(({ objects }) => objects.every(({ module }) => ['context', 'plan', 'collab'].includes(module)))
  : [];

describe.runIf(frozenPresent)('the recorded flows, rebuilt by the mutations of the domain alone', () => {
  let platform: Platform;
  let folder: string;
  let script: FrozenCheck;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mplp-replay-'));
    script = await openFrozenCheck(folder);
    platform = await sharePlatform({ mode: 'one process' });
  });
  afterAll(async () => {
    await platform?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function create(field: string, type: string, kind: string, input: Json, token: string): Promise<string> {
    const { data, errors } = await platform.query<Record<string, { userErrors: unknown[] } & Json>>(
      `mutation ($input: ${type}!) { ${field}(input: $input) { ${kind} { id } userErrors { code message path } } }`,
      { input },
      { token },
    );
    expect([errors, data?.[field]?.userErrors]).toEqual([[], []]);
    return (data![field]![kind] as { id: string }).id;
  }

  async function replay(objects: readonly NamedObject[], token: string): Promise<string> {
    const context = objects.find(({ module }) => module === 'context')!.object as Json;
    const contextId = await create(
      'createContext',
      'CreateContextInput',
      'context',
      { title: context['title'], root: context['root'] },
      token,
    );
    for (const { object } of objects.filter(({ module }) => module === 'plan')) {
      const plan = object as Json;
      const renamed = new Map<unknown, string>();
      const idOf = (id: unknown) => {
        if (!renamed.has(id)) renamed.set(id, crypto.randomUUID());
        return renamed.get(id)!;
      };
      await create(
        'createPlan',
        'CreatePlanInput',
        'plan',
        {
          contextId,
          title: plan['title'],
          objective: plan['objective'],
          steps: (plan['steps'] as Json[]).map((step) => ({
            id: idOf(step['step_id']),
            description: step['description'],
            agentRole: step['agent_role'],
            orderIndex: step['order_index'],
            dependsOn: ((step['dependencies'] as string[] | undefined) ?? []).map(idOf),
          })),
        },
        token,
      );
    }
    for (const { object } of objects.filter(({ module }) => module === 'collab'))
      await collaborate(object as Json, contextId, token);
    return contextId;
  }

  /** A session whose participants hold roles of the tenant, begun if the recorded one had. */
  async function collaborate(recorded: Json, contextId: string, token: string): Promise<void> {
    const roles = new Map<unknown, string>();
    const participants = [];
    for (const participant of recorded['participants'] as Json[]) {
      const role = participant['role_id'];
      if (!roles.has(role))
        roles.set(role, await create('createRole', 'CreateRoleInput', 'role', { name: `role-${roles.size}` }, token));
      participants.push({
        participantId: participant['participant_id'],
        kind: String(participant['kind']).toUpperCase(),
        roleId: roles.get(role),
        displayName: participant['display_name'],
      });
    }
    const input = {
      contextId,
      title: recorded['title'],
      purpose: recorded['purpose'],
      mode: String(recorded['mode']).toUpperCase(),
      participants,
      activate: recorded['status'] === 'active',
    };
    await create('createCollaboration', 'CreateCollaborationInput', 'collaboration', input, token);
  }

  it.each(flows.map((flow) => [flow.label, flow] as const))('%s', async (label, { objects }) => {
    const flow = label.split('/')[0]!;
    const token = await platform.token({ tenant: `replay-${flow}`, subject: 'agent', roles: ['admin'] });
    const contextId = await replay(objects, token);
    const { data, errors } = await platform.query<{ exportProtocolBundle: Record<string, unknown[]> }>(
      'query ($id: ID!) { exportProtocolBundle(contextId: $id) }',
      { id: contextId },
      { token },
    );
    expect(errors).toEqual([]);
    const dir = await script.write(flow, data!.exportProtocolBundle);
    const { code, output } = await script.run(dir, [
      '--flow',
      flow,
      '--compare',
      'renamed',
      '--profile',
      objects.some(({ module }) => module === 'collab') ? 'golden,sa,map,obs' : 'golden,sa,obs',
    ]);
    expect(code, output).toBe(0);
    expect(output).toMatch(/\n[1-9]\d* passed, 0 failed\n$/);
  });
});

// Registered only where it has something to say, so that a full run reports nothing as skipped.
if (!frozenPresent) {
  describe('the recorded flows', () => {
    it('were NOT replayed: ../shared/conformance is absent', () => {
      expect(flows).toEqual([]);
    });
  });
}
