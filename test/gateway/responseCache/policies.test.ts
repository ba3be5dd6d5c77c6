import { parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { findDocumentPolicy } from '../../../gateway/execution/responseCache/documentPolicy.ts';
import { createFieldPolicies } from '../../../gateway/execution/responseCache/fieldPolicies.ts';
import { contextSdl, dialogSdl, shared } from './rig.ts';

const policies = createFieldPolicies([
  { name: 'context', typeDefs: contextSdl },
  { name: 'dialog', typeDefs: dialogSdl },
]);
const judge = (text: string, subgraph: string | null = null) => findDocumentPolicy(parse(text), policies, { subgraph });

describe('policy of a field', () => {
  it.each([
    ['context', 'Query', 'context', { scope: 'TENANT', maxAgeSeconds: 60, requires: ['context:read'] }],
    ['context', 'Query', 'contextsOfRole', { scope: 'ROLE', maxAgeSeconds: 60, requires: ['context:read'] }],
    ['context', 'Query', 'clock', { scope: 'TENANT', maxAgeSeconds: 0, requires: [] }],
    ['context', 'Context', 'name', { scope: 'TENANT', maxAgeSeconds: null, requires: ['context:read'] }],
    ['context', 'Context', 'owner', { scope: 'TENANT', maxAgeSeconds: null, requires: ['context:read'] }],
    ['dialog', 'Dialog', 'unread', { scope: 'SUBJECT', maxAgeSeconds: null, requires: [] }],
    // The context subgraph says how long a context is good; here it is only referred to.
    ['dialog', 'Dialog', 'context', { scope: 'TENANT', maxAgeSeconds: 60, requires: [] }],
    ['dialog', 'Context', 'id', { scope: 'TENANT', maxAgeSeconds: null, requires: [] }],
    [null, 'Context', 'id', { scope: 'TENANT', maxAgeSeconds: null, requires: ['context:read'] }],
  ] as const)('%s %s.%s', (subgraph, type, field, expected) => {
    expect(policies.fieldPolicy(subgraph, type, field)).toEqual(expected);
  });

  it('knows no field that is not there', () => {
    expect(policies.fieldPolicy('context', 'Context', 'dialogs')).toBeNull();
    expect(policies.fieldPolicy(null, 'Nothing', 'id')).toBeNull();
  });
});

describe('policy of a document', () => {
  it.each([
    ['{ context(id: 1) { id name owner { name } } }', { cacheable: true, maxAgeSeconds: 60, scope: 'TENANT' }],
    [
      '{ a: context(id: 1) { ...F } dialog(id: 2) { title } } fragment F on Context { dialogs { id } }',
      { cacheable: true, maxAgeSeconds: 30, scope: 'TENANT' },
    ],
    ['{ context(id: 1) { dialogs { unread @include(if: false) } } }', { cacheable: true, scope: 'SUBJECT' }],
    ['{ context(id: 1) { id } contextsOfRole { id } }', { cacheable: true, scope: 'ROLE' }],
    ['{ context(id: 1) { id } clock }', { cacheable: false }],
    ['{ __schema { queryType { name } } }', { cacheable: false }],
    ['mutation { rename(id: 1, name: "x") { id } }', { cacheable: false, operation: 'mutation' }],
    ['{ __typename }', { cacheable: false }],
  ])('%s', (text, expected) => {
    expect(judge(text)).toMatchObject(expected);
  });

  it('chooses the operation by name, and none where it is not clear', () => {
    const document = parse('query A { clock } query B { context(id: 1) { id } }');
    expect(findDocumentPolicy(document, policies, { subgraph: null })).toBeNull();
    expect(findDocumentPolicy(document, policies, { subgraph: null, operationName: 'B' })).toMatchObject({
      cacheable: true,
    });
    expect(findDocumentPolicy(document, policies, { subgraph: null, operationName: 'A' })).toMatchObject({
      cacheable: false,
    });
  });

  it('judges an entity fetch by the entities it names', () => {
    const entities = (selection: string) =>
      `query($representations: [_Any!]!) { _entities(representations: $representations) { ${selection} } }`;
    expect(judge(entities('... on Context { name }'), 'context')).toMatchObject({
      cacheable: true,
      entities: true,
      maxAgeSeconds: 60,
      requires: ['context:read'],
    });
    expect(judge(entities('... on Context { dialogs { title } }'), 'dialog')).toMatchObject({
      cacheable: true,
      entities: true,
      maxAgeSeconds: 30,
    });
    expect(judge(entities('... on Dialog { unread }'), 'dialog')).toMatchObject({ scope: 'SUBJECT' });
    expect(judge(entities('... on Nothing { id }'), 'dialog')).toMatchObject({ cacheable: false });
  });

  it('takes the strictest of what an abstract type may be', () => {
    const abstract = createFieldPolicies([
      {
        name: 'x',
        typeDefs: parse(`${shared}
          type Query { node: Node @cacheControl(maxAge: 50) thing: Thing @cacheControl(maxAge: 50) }
          interface Node { id: ID! part: Part }
          type A implements Node @auth(requires: ["a:read"]) { id: ID! part: Part @cacheControl(maxAge: 20) }
          type B implements Node @auth(requires: [], scope: SUBJECT) { id: ID! part: Part @cacheControl(maxAge: 10) }
          union Thing = A | B
          type Part { id: ID! }`),
      },
    ]);
    expect(findDocumentPolicy(parse('{ node { part { id } } }'), abstract, { subgraph: 'x' })).toMatchObject({
      scope: 'SUBJECT',
      maxAgeSeconds: 0,
      requires: ['a:read'],
    });
    expect(
      findDocumentPolicy(parse('{ thing { ... on A { part { id } } } }'), abstract, { subgraph: 'x' }),
    ).toMatchObject({
      scope: 'TENANT',
      maxAgeSeconds: 20,
      requires: ['a:read'],
    });
  });
});
