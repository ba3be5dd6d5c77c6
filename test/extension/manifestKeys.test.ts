import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { readManifest } from '../../subgraphs/extension/manifest/manifest.ts';
import { admin, codesOf, type ExtensionRig, manifestOf, openExtensionRig } from './rig.ts';

let rig: ExtensionRig;
beforeAll(async () => {
  rig = await openExtensionRig();
});
afterAll(() => rig?.[Symbol.asyncDispose]());

const method = { method_name: 'add' };
const capabilities = (more: object, ofInterface: object = {}, ofMethod: object = {}) => [
  {
    name: 'sums',
    interfaces: [{ interface_name: 'sums', methods: [{ ...method, ...ofMethod }], ...ofInterface }],
    ...more,
  },
];

/** What is wrong with it, as the error's details say. */
function issuesOf(manifest: unknown): readonly Record<string, unknown>[] {
  try {
    readManifest(manifest);
    return [];
  } catch (error) {
    return (error as { details: { issues: Record<string, unknown>[] } }).details.issues;
  }
}

describe('keys that a manifest may not have', () => {
  it.each([
    ['at its root', manifestOf({ lifecycle_hook: {} }), '/lifecycle_hook'],
    ['of a capability', manifestOf({ capabilities: capabilities({ interface: [] }) }), '/capabilities/0/interface'],
    [
      'of an interface',
      manifestOf({ capabilities: capabilities({}, { method: [] }) }),
      '/capabilities/0/interfaces/0/method',
    ],
    [
      'of a method',
      manifestOf({ capabilities: capabilities({}, {}, { pur: true }) }),
      '/capabilities/0/interfaces/0/methods/0/pur',
    ],
    ['of limits', manifestOf({ resource_requirements: { memory: 10 } }), '/resource_requirements/memory'],
    ['of its needs', manifestOf({ security_requirements: { permission: [] } }), '/security_requirements/permission'],
    ['of its runtime', manifestOf({ runtime_requirements: { node: '>=1' } }), '/runtime_requirements/node'],
    ['of modules', manifestOf({ compatibility: { modules: [] } }), '/compatibility/modules'],
    [
      'of a dependency',
      manifestOf({ dependencies: [{ name: 'a', version: '1', ranges: '' }] }),
      '/dependencies/0/ranges',
    ],
    [
      'of a hook',
      manifestOf({ hooks: [{ point: 'plan.before_execution', phase: 'before', method: 'add', order: 1 }] }),
      '/hooks/0/order',
    ],
    [
      'of a script',
      manifestOf({ lifecycle_hooks: { health_check: { script: 'healthy', timeout: 1 } } }),
      '/lifecycle_hooks/health_check/timeout',
    ],
    ['with a slash', manifestOf({ 'a/b~c': 1 }), '/a~1b~0c'],
  ])('%s', async (_what, manifest, pointer) => {
    expect(issuesOf(manifest)).toMatchObject([
      {
        pointer,
        keyword: 'additionalProperties',
        property: expect.any(String),
        message: expect.stringContaining('expected one of'),
      },
    ]);
    const name = `unknown-${newId().slice(0, 8)}`;
    const payload = await rig.register(admin, { name, manifest });
    expect(codesOf(payload)).toEqual(['MANIFEST_INVALID']);
    expect(await rig.sql`SELECT 1 FROM extension.extension WHERE name = ${name}`).toEqual([]);
  });

  it('are told beside whatever else is wrong', () => {
    const issues = issuesOf(manifestOf({ main_class: '1', extra: 1, other: 2 }));
    expect(issues.map(({ pointer }) => pointer)).toEqual(['/main_class', '/extra', '/other']);
  });
});

it("what begins with x- and meta are the publisher's own: they are kept and shown", async () => {
  const own = { 'x-team': 'maths', meta: { anything: [1] } };
  const manifest = manifestOf({
    ...own,
    capabilities: capabilities({ 'x-group': 1 }, {}, { 'x-cost': 2 }),
    resource_requirements: { memory_limit: 8, 'x-peak': 7 },
    configuration_schema: { type: 'object', properties: { modules: { type: 'string' } } },
  });
  const { extension } = rig.insist(await rig.register(admin, { contextId: rig.openContext(), manifest }));
  const [{ kept }] =
    (await rig.sql`SELECT manifest AS kept FROM extension.release WHERE extension_id = ${String(extension!['id'])}`) as unknown as [
      { kept: typeof manifest },
    ];
  expect(kept).toMatchObject(manifest);
  const shown = await rig.ask(admin, 'query ($id: ID!) { extension(id: $id) { releases { manifest } } }', {
    id: extension!['id'],
  });
  expect(shown['extension']!['releases']).toMatchObject([{ manifest: own }]);
});

it('what was published when they were not looked at runs on', async () => {
  const { extension } = rig.insist(await rig.register(admin, { contextId: rig.openContext() }));
  const extensionId = String(extension!['id']);
  await rig.sql`UPDATE extension.release SET manifest = manifest || '{"resource_requirements": {"disk": 1}}' WHERE extension_id = ${extensionId}`;
  for (const [operation, input] of [
    ['installExtension', 'InstallExtensionInput'],
    ['loadExtension', 'LoadExtensionInput'],
  ] as const)
    rig.insist(await rig.mutate(admin, operation, input, { extensionId }));
  expect(await rig.stateOf(extensionId)).toMatchObject({ runtimeState: 'ACTIVE' });
});
