import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

type Json = Record<string, unknown>;

const uuid = (type: string) => ({ type: 'string', 'x-references': type });
const schema = {
  type: 'object',
  properties: {
    context: uuid('Context'),
    plan: uuid('Plan'),
    more: { type: 'array', maxItems: 200, items: uuid('Context') },
  },
};

describe.each(modes)('schemas whose data refers to objects of the graph, %s', (mode) => {
  let platform: Platform;
  let ann: string;
  let eve: string;
  let contextId: string;
  let privateId: string;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    ann = await platform.token({ tenant: 'refers', subject: 'ann', roles: ['admin'] });
    eve = await platform.token({ tenant: 'elsewhere', subject: 'eve', roles: ['admin'] });
    const create = async (token: string, input: Json): Promise<string> => {
      const { data } = await platform.query<{ createContext: { context: { id: string } } }>(
        'mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } userErrors { code message } } }',
        { input: { title: 'referred to', root: { domain: 'd', environment: 'e' }, ...input } },
        { token },
      );
      return data!.createContext.context.id;
    };
    contextId = await create(ann, {});
    privateId = await create(eve, {});
    for (const token of [ann, eve])
      await platform.query(
        'mutation ($document: JSON!) { registerSchema(name: "refers", document: $document) { schema { version } } }',
        { document: schema },
        { token },
      );
  });
  afterAll(() => platform.close());

  const verdict = async (data: Json, token = ann) => {
    const answer = await platform.query<{ validateData: { valid: boolean; errors: Json[] } }>(
      'query ($data: JSON!) { validateData(name: "refers", data: $data) { valid errors { path keyword params } } }',
      { data },
      { token },
    );
    return answer.data?.validateData ?? answer.errors[0]?.extensions.code;
  };
  const missing = (path: string, type: string) => ({ path, keyword: 'x-references', params: { type } });

  it('takes ids of what the caller can see, and names every one that leads nowhere', async () => {
    expect(await verdict({ context: contextId, more: Array.from({ length: 25 }, () => contextId) })).toEqual({
      valid: true,
      errors: [],
    });
    const others = Array.from({ length: 12 }, () => crypto.randomUUID());
    expect(await verdict({ context: contextId, more: [...others, contextId, 'no id'] })).toEqual({
      valid: false,
      errors: [...others.keys(), 13].map((at) => missing(`/more/${at}`, 'Context')),
    });
    // Of another type, and of another tenant.
    expect(await verdict({ context: privateId, plan: contextId })).toEqual({
      valid: false,
      errors: expect.arrayContaining([missing('/context', 'Context'), missing('/plan', 'Plan')]),
    });
    expect(await verdict({ context: contextId }, eve)).toMatchObject({ valid: false });
    expect(await verdict({ more: Array.from({ length: 101 }, () => contextId) })).toBe('LIMIT_EXCEEDED');
  });

  it('is refused where it names no type of the graph', async () => {
    const { data } = await platform.query<{ validateSchema: { problems: Json[] } }>(
      'query ($document: JSON!) { validateSchema(document: $document) { problems { path } } }',
      { document: { type: 'object', properties: { a: uuid('Nothing'), b: { 'x-references': 7 } } } },
      { token: ann },
    );
    expect(data!.validateSchema.problems).toEqual([
      { path: '/properties/a/x-references' },
      { path: '/properties/b/x-references' },
    ]);
  });
});
