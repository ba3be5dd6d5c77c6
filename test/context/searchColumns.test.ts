import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPrincipal } from '#shared/principal.ts';
import { openContextRig } from './rig.ts';

let rig: Awaited<ReturnType<typeof openContextRig>>;
const ada = createPrincipal({ tenantId: 'one', subject: 'ada', scopes: ['*'] });
beforeAll(async () => {
  rig = await openContextRig();
  await rig.createContext(ada, {
    title: 'A heron by the water',
    root: { domain: 'birds', environment: 'test', entryPoint: 'shore', extra: { note: 'x' } },
    summary: 'stands still',
    tags: ['heron', 'grey'],
    language: 'en',
    constraints: { most: 3 },
    category: 'wading',
    customData: { height: 90 },
    priority: 'HIGH',
    governance: { lifecyclePhase: 'early', truthDomain: 'field' },
  });
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const fields = [
  'id contextId __typename',
  ...'title summary status type lifecycleStage domain environment entryPoint root tags language ownerRoleId constraints'.split(
    ' ',
  ),
  ...'ownerId ownerType priority category customData version participantCount sessionCount lastActivityAt'.split(' '),
  ...'expiresAt closeReason createdAt createdBy updatedAt updatedBy document'.split(' '),
  'governance { lifecyclePhase truthDomain locked lastConfirmId }',
  'configuration { maxParticipants timeoutMs }',
  'accessControl { visibility joinPolicy }',
  'sharedState { version }',
  'participants { totalCount }',
  'sessions { totalCount }',
  'history { nodes { version } }',
  'metadata { totalCount }',
];

it.each(['nodes', 'edges'])('a search shows in each field alone what it shows beside all others: %s', async (list) => {
  const read = async (selection: string) => {
    const inner = list === 'nodes' ? `nodes { ${selection} }` : `edges { node { ...F } }`;
    const fragment = list === 'nodes' ? '' : ` fragment F on Context { ... { ${selection} } }`;
    const { searchContexts } = await rig.ask(ada, `{ searchContexts(query: "heron") { ${inner} } }${fragment}`);
    const found = searchContexts as unknown as { nodes?: object[]; edges?: { node: object }[] };
    return (found.nodes ?? found.edges!.map((edge) => edge.node))[0]!;
  };
  // From PostgreSQL while the index is built, then from the index.
  for (let round = 0; round < 3; round += 1) {
    const whole = await read(fields.join(' '));
    const merged = Object.assign({}, ...(await Promise.all(fields.map(read))));
    expect(merged).toEqual(whole);
    expect(merged).toMatchObject({ title: 'A heron by the water', domain: 'birds' });
  }
});
