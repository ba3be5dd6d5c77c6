import { compileQuery, isCompiledQuery } from 'graphql-jit';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { execute, graphql, parse } from 'graphql';
import { compileOperation } from '../../gateway/execution/compiled.ts';
import { createFixture } from '../../test/gateway/execution/fixtures/index.ts';
const link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])';
const user = { id: '7', name: 'Ada', email: 'a', role: 'ADMIN', createdAt: 'x' };
const schema = buildSubgraphSchema([{ typeDefs: parse(`${link} enum Role { ADMIN GUEST } type User @key(fields: "id") { id: ID! name: String! email: String role: Role! createdAt: String! } type Query { user(id: ID!): User users: [User!]! }`), resolvers: { Query: { users: () => Array.from({ length: 50 }, () => ({ ...user })), user: async () => ({ ...user }) }, User: { __resolveReference: async () => ({ ...user }) } } as never }]);
const cases: [string, Record<string, unknown>][] = [
  ['query($id: ID!){user(id:$id){__typename id name email role createdAt}}', { id: '7' }],
  ['query($representations:[_Any!]!){_entities(representations:$representations){...on User{id name email role createdAt}}}', { representations: [{ __typename: 'User', id: '7' }] }],
  ['query($representations:[_Any!]!){_entities(representations:$representations){...on User{id name email role createdAt}}}', { representations: Array.from({ length: 50 }, () => ({ __typename: 'User', id: '7' })) }],
  ['{users{id name email role createdAt}}', {}],
];
async function time(run: () => unknown, n: number) { for (let i = 0; i < n / 4; i++) await run(); const b = process.cpuUsage(); for (let i = 0; i < n; i++) await run(); const c = process.cpuUsage(b); return ((c.user + c.system) / n).toFixed(2); }
for (const [text, variables] of cases) {
  const document = parse(text);
  const jit = compileQuery(schema, document, undefined, { disablingCapturingStackErrors: true });
  const own = compileOperation(schema, document);
  const n = JSON.stringify(variables).length > 500 || text.startsWith('{users') ? 3000 : 20000;
  console.log(text.slice(0, 60), JSON.stringify(variables).length, { own: await time(() => own.execute({ variables, contextValue: {} }), n), jit: isCompiledQuery(jit) ? await time(() => jit.query(undefined, {}, variables), n) : 'x', js: await time(() => execute({ schema, document, variableValues: variables, contextValue: {} }), n), compileOwn: await time(() => { const c = compileOperation(schema, parse(text)); return c.execute({ variables, contextValue: {} }); }, 300), compileJit: await time(() => compileQuery(schema, parse(text)), 300) });
}
// correctness of jit
const f = createFixture().schemas.get('accounts')!;
for (const [text, variables] of [
  ['query($a: Boolean!){ user(id:"2"){ ...F @include(if:$a) ...F } } fragment F on User { name }', { a: false }],
  ['query($n: Int! = 2){ user(id:"2"){ friends(first:$n) { name } } }', {}],
  ['{ user(id:"2"){ friends { id } } maybeUsers(ids:["1","2"]) { profile { lazy lazyList } } }', {}],
  ['query($r: Role = GUEST){ echo(role: $r) }', {}],
  ['query($representations:[_Any!]!){_entities(representations:$representations){... on User { id name } }}', { representations: ['1','2','3','4','5','6','7'].map((id) => ({ __typename: 'User', id })) }],
  ['{ named(id: "5") { name } }', {}],
] as [string, Record<string, unknown>][]) {
  const jit = compileQuery(f, parse(text), undefined, {});
  const a = JSON.stringify(await graphql({ schema: f, source: text, variableValues: variables, contextValue: { caller: 'x', log: [] } }));
  const o = JSON.stringify(await compileOperation(f, parse(text)).execute({ variables, contextValue: { caller: 'x', log: [] } }));
  const b = isCompiledQuery(jit) ? await Promise.race([Promise.resolve().then(() => jit.query(undefined, { caller: 'x', log: [] }, variables)).then((r) => JSON.stringify(r), (e) => `THROWS ${e}`), new Promise((r) => setTimeout(r, 500, 'HANGS'))]) : `compile: ${JSON.stringify(jit)}`;
  console.log(text, '\n stock', a.slice(0, 700), '\n jit  ', String(b).slice(0, 700), '\n own equal', a === o);
}
