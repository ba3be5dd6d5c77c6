import { describe, expect, it } from 'vitest';
import { collectAuthRules } from '#shared/auth.ts';
import { readTypeDefs } from '#shared/subgraph.ts';
import { subgraphNames } from '../../subgraphs/names.ts';
import { readEntities } from './walk/direct.ts';
import { open } from './walk/exceptions.ts';
import { readApi, rootFieldsOf } from './walk/schema.ts';

const api = readApi();
const entitiesBySubgraph = await readEntities();

describe('@auth', () => {
  it('stands at every root field and every entity', async () => {
    for (const name of subgraphNames) {
      const rules = collectAuthRules(await readTypeDefs(name));
      for (const type of entitiesBySubgraph.get(name)!)
        expect(rules.entities.get(type)?.requires.length).toBeGreaterThan(0);
    }
    const all = await Promise.all(
      subgraphNames.map(async (name) => [...collectAuthRules(await readTypeDefs(name)).fields]),
    );
    const rules = new Map(all.flat());
    for (const [type, fields] of [
      ['Query', rootFieldsOf(api, 'query')],
      ['Mutation', rootFieldsOf(api, 'mutation')],
      ['Subscription', rootFieldsOf(api, 'subscription')],
    ] as const) {
      for (const field of fields)
        expect([field.name, rules.get(`${type}.${field.name}`)?.requires.length === 0]).toEqual([
          field.name,
          field.name in open,
        ]);
    }
  });
});
