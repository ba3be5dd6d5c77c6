import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Json, openPlatformRig, type PlatformRig, principal } from './rig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig({ env: { OPERATOR_TENANT: 'ops' } });
});
afterAll(() => rig[Symbol.asyncDispose]());

type Who = ReturnType<typeof principal>;
const register = (who: Who, document: Json, name = 'limit') =>
  rig.ask(
    who,
    'mutation ($name: String!, $document: JSON!) { registerSchema(name: $name, document: $document) { schema { version } userErrors { code } } }',
    { name, document },
  );
const set = async (who: Who, input: Json): Promise<Json> =>
  (
    await rig.ask(
      who,
      'mutation ($input: SetConfigInput!) { setConfig(input: $input) { entry { value type schemaRef version } userErrors { code path message } } }',
      { input: { key: 'shop.limit', ...input } },
    )
  ).setConfig;
const limit = { type: 'object', required: ['most'], properties: { most: { type: 'integer', maximum: 10 } } };

describe('a value that names its schema', () => {
  it('is held to that version, as later ones are, until it names another or none', async () => {
    const who = principal('ann', 'held');
    await register(who, limit);
    expect(await set(who, { value: { most: 3 }, schemaRef: 'limit' })).toMatchObject({
      entry: { value: { most: 3 }, type: 'OBJECT', schemaRef: 'limit@1', version: 1 },
    });
    expect((await set(who, { value: { most: 11 } })).userErrors).toMatchObject([
      { code: 'VALIDATION_FAILED', path: ['input', 'value'], message: expect.stringContaining('/most') },
    ]);
    await register(who, { ...limit, properties: { most: { type: 'integer', maximum: 100 } } });
    expect((await set(who, { value: { most: 11 } })).userErrors).toHaveLength(1);
    expect(await set(who, { value: { most: 11 }, schemaRef: 'limit@2' })).toMatchObject({
      entry: { schemaRef: 'limit@2', version: 2 },
    });
    // Its version comes back whole: with what it is held to.
    const { rollbackConfig } = await rig.ask(
      who,
      'mutation { rollbackConfig(key: "shop.limit", version: 1) { entry { value schemaRef version } userErrors { code } } }',
    );
    expect(rollbackConfig.entry).toEqual({ value: { most: 3 }, schemaRef: 'limit@1', version: 3 });
    expect(await set(who, { value: 'anything', schemaRef: '' })).toMatchObject({
      entry: { schemaRef: null, type: 'STRING', version: 4 },
    });
    expect(await set(who, { value: [1] })).toMatchObject({ entry: { type: 'ARRAY', version: 5 } });
  });

  it('holds secrets too, whose type is told to nobody', async () => {
    const who = principal('ann', 'secretly');
    await register(who, { type: 'string', minLength: 8, maxLength: 100 }, 'password');
    expect((await set(who, { value: 'short', secret: true, schemaRef: 'password' })).userErrors).toHaveLength(1);
    expect(await set(who, { value: 'long enough', secret: true, schemaRef: 'password' })).toMatchObject({
      entry: { value: null, type: null, schemaRef: 'password@1' },
    });
  });

  it('is refused where there is no such schema, of the tenant that is', async () => {
    await register(principal('ann', 'somewhere'), limit, 'elsewhere');
    const who = principal('ann', 'nowhere');
    for (const schemaRef of ['limit', 'elsewhere', 'limit@0', 'no schema', '@1'])
      expect((await set(who, { value: 1, schemaRef })).userErrors).toMatchObject([
        { code: 'VALIDATION_FAILED', path: ['input', 'schemaRef'] },
      ]);
  });

  it('is looked at beforehand, by the schema it names or that of its entry', async () => {
    const who = principal('ann', 'beforehand');
    await register(who, limit);
    await set(who, { value: { most: 3 }, schemaRef: 'limit' });
    const { validateConfig } = await rig.ask(
      who,
      'query ($values: [PlatformConfigValueInput!]!) { validateConfig(values: $values) { valid problems { key message } } }',
      {
        values: [
          { key: 'shop.limit', value: { most: 99 } },
          { key: 'fine.limit', value: { most: 9 }, schemaRef: 'limit@1' },
          { key: 'other.limit', value: {}, schemaRef: 'limit' },
          { key: 'free', value: 7 },
        ],
      },
    );
    expect(validateConfig.valid).toBe(false);
    expect(validateConfig.problems.map(({ key }: Json) => key)).toEqual(['shop.limit', 'other.limit']);
  });
});
