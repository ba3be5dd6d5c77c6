import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wilsonLowerBound } from '../../subgraphs/extension/discovery/wilson.ts';
import { admin, alice, type ExtensionRig, manifestOf, openExtensionRig, principal, trustedKey } from './rig.ts';

let rig: ExtensionRig;
let contextId: string;
beforeAll(async () => {
  rig = await openExtensionRig();
  contextId = rig.openContext();
});
afterAll(() => rig?.[Symbol.asyncDispose]());

const find = async (query: object, page: object = {}, who = alice) =>
  (
    await rig.ask(
      who,
      'query ($query: DiscoverExtensionsInput!, $first: Int, $after: String) { discoverExtensions(query: $query, first: $first, after: $after) { totalCount tookMs edges { cursor score reasons matchedCapabilities { name } node { name } } pageInfo { hasNextPage endCursor } } }',
      { query: { contextId, ...query }, ...page },
    )
  )['discoverExtensions']!;
const names = async (query: object) => (await find(query))['edges']!.map((edge) => String(edge['node']!['name']));

const register = async (name: string, more: object = {}, given: object = {}) => {
  const payload = rig.insist(await rig.register(admin, { contextId, name, more, ...given }));
  return {
    id: String(payload['extension']!['id']),
    capabilityId: String(payload['extension']!['capabilities']!.map((one) => one['id'])[0]),
  };
};

describe('discovery', () => {
  it('ranks by words, trust in the publisher, and what calls came to', async () => {
    const high = await trustedKey(rig, 'HIGH');
    await register('plain-harbour', { description: 'moves cranes in the harbour' });
    await register('signed-harbour', { description: 'moves cranes in the harbour' }, { sign: high });
    await register('elsewhere', { description: 'sorts letters' });
    expect(await names({ text: 'harbour' })).toEqual(['signed-harbour', 'plain-harbour']);
    expect(await names({ text: 'cranes -signed' })).toEqual(['plain-harbour']);
    expect(await names({ text: 'letters or cranes', minTrust: 'HIGH' })).toEqual(['signed-harbour']);
    const [first] = (await find({ text: 'harbour' }))['edges']!.map((edge) => edge['reasons']);
    expect(first).toEqual(['says harbour', 'publisher is high']);
  });

  it('calls that fail lower the rank', async () => {
    const bundle = 'export const Main = { work({ fail }) { if (fail) throw new Error("no"); return 1; } };';
    const manifest = manifestOf({
      capabilities: [
        { name: 'work', interfaces: [{ interface_name: 'w', methods: [{ method_name: 'work', error_codes: [] }] }] },
      ],
    });
    const start = async (name: string) =>
      rig.running({ contextId, name, bundle, manifest, more: { description: 'lighthouse keeper' } });
    const [good, bad] = [await start('good-keeper'), await start('bad-keeper')];
    for (let n = 0; n < 4; n += 1)
      for (const [one, fail] of [
        [good, false],
        [bad, true],
      ] as const)
        await rig.execute(alice, {
          extensionId: one.id,
          capabilityId: one.capabilities.get('work'),
          method: 'work',
          parameters: { fail },
        });
    // A process that begins now knows all of it.
    const { createDiscovery } = await import('../../subgraphs/extension/discovery/discover.ts');
    const fresh = createDiscovery(rig.runtime, { modules: rig.service.modules });
    const scope = { principal: admin, readTags: new Set<string>() } as never;
    const found = await fresh.discover(scope, { text: 'lighthouse' }, {});
    expect(found.nodes.map(({ name }) => name)).toEqual(['good-keeper', 'bad-keeper']);
    expect(found.edges[0]!.score).toBeGreaterThan(2 * found.edges[1]!.score);
    fresh.close();
  });

  it('filters by capability, type, keyword, category, state and version range', async () => {
    const { id, capabilityId } = await register(
      'filtered',
      { keywords: ['tide', 'moon'], category: 'nature' },
      { version: '1.2.0' },
    );
    await rig.publish(admin, id, { version: '2.1.0-beta.1' });
    expect(await names({ keywords: ['tide', 'moon'] })).toEqual(['filtered']);
    expect(await names({ keywords: ['tide', 'sun'] })).toEqual([]);
    expect(await names({ category: 'nature', types: ['CAPABILITY'] })).toEqual(['filtered']);
    expect(await names({ category: 'nature', types: ['POLICY'] })).toEqual([]);
    expect(await names({ capabilityId })).toEqual(['filtered']);
    expect(await names({ category: 'nature', capability: 'sums' })).toEqual(['filtered']);
    for (const [versionRange, expected] of [
      ['^1.1.0', ['filtered']],
      ['>=2.1.0-beta.0 <2.1.0', ['filtered']],
      ['>=2.1.0', []],
      ['<1.0.0', []],
    ] as const)
      expect([versionRange, await names({ category: 'nature', versionRange })]).toEqual([versionRange, expected]);
    expect(await names({ category: 'nature', runtimeState: ['ACTIVE'] })).toEqual([]);
    const { errors } = await rig.run(
      alice,
      'query { discoverExtensions(query: { versionRange: "newest" }) { totalCount } }',
    );
    expect(errors.map(({ code }) => code)).toEqual(['RANGE_INVALID']);
  });

  it('leaves out what does not fit this platform, unless it is asked for', async () => {
    await register(
      'from-the-future',
      { category: 'future' },
      { manifest: manifestOf({ compatibility: { mplp_version: '>=9' } }) },
    );
    await register(
      'needs-a-module',
      { category: 'future' },
      { manifest: manifestOf({ compatibility: { required_modules: ['telepathy'] } }) },
    );
    expect(await names({ category: 'future' })).toEqual([]);
    expect(await names({ category: 'future', includeIncompatible: true })).toHaveLength(2);
  });

  it('pages without gap or repeat, and hears of what changes', async () => {
    for (let n = 0; n < 7; n += 1) await register(`paged-${n}`, { category: 'paged' });
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof find>> = await find({ category: 'paged' }, { first: 3, after });
      expect(page['totalCount']).toBe(7);
      seen.push(...page['edges']!.map((edge) => String(edge['node']!['name'])));
      after = (page['pageInfo']!['hasNextPage'] as unknown as boolean) ? String(page['pageInfo']!['endCursor']) : null;
    } while (after !== null);
    expect(seen.toSorted()).toEqual(Array.from({ length: 7 }, (_, n) => `paged-${n}`));
    const { id } = await register('gone-soon', { category: 'paged' });
    expect(await names({ category: 'paged' })).toContain('gone-soon');
    rig.insist(await rig.step(admin, 'uninstallExtension', id));
    expect(await names({ category: 'paged' })).not.toContain('gone-soon');
  });

  it('keeps tenants apart', async () => {
    const other = principal('root', { tenantId: 'two', scopes: ['*'] });
    const data = await rig.ask(
      other,
      'query { discoverExtensions(query: { text: "harbour" }) { totalCount edges { node { name } } } }',
    );
    expect(data['discoverExtensions']).toEqual({ totalCount: 0, edges: [] });
  });
});

describe('the bound of Wilson’s interval', () => {
  it('rises with success, never exceeds the share, and trusts few cases little', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.nat(), (total, part) => {
        const successes = part % (total + 1);
        const bound = wilsonLowerBound(successes, total);
        expect(bound).toBeGreaterThanOrEqual(0);
        expect(bound).toBeLessThanOrEqual(successes / total + 1e-12);
        if (successes < total) expect(wilsonLowerBound(successes + 1, total)).toBeGreaterThan(bound - 1e-12);
        expect(wilsonLowerBound(10 * successes, 10 * total)).toBeGreaterThanOrEqual(bound - 1e-12);
      }),
    );
    // Published values: 95 % for 10 of 10 and 90 of 100.
    expect(wilsonLowerBound(10, 10)).toBeCloseTo(0.7225, 3);
    expect(wilsonLowerBound(90, 100)).toBeCloseTo(0.8256, 3);
  });
});
