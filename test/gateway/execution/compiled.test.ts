import {
  type ExecutionResult,
  execute,
  GraphQLError,
  GraphQLInterfaceType,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLSchema,
  GraphQLString,
  getIntrospectionQuery,
  parse,
} from 'graphql';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compileOperation } from '#shared/execution/compiled.ts';
import { createFixture } from './fixtures/index.ts';
import { CodedError } from './fixtures/outcome.ts';

const schema = createFixture().schemas.get('accounts')!;
const context = () => ({ caller: 'tester', log: [] as string[] });

interface Question {
  readonly text: string;
  readonly variables?: Record<string, unknown>;
  readonly schema?: GraphQLSchema;
  readonly operationName?: string;
}

const asText = (result: ExecutionResult): string => JSON.stringify(result);

/** Both answers as text: order of fields and of errors, locations and paths included. */
async function both({
  text,
  variables = {},
  schema: given = schema,
  operationName,
}: Question): Promise<[string, string, ExecutionResult]> {
  const document = parse(text);
  const expected = await execute({
    schema: given,
    document,
    variableValues: variables,
    contextValue: context(),
    ...(operationName === undefined ? {} : { operationName }),
  });
  const got = await compileOperation(given, document, operationName).execute({ variables, contextValue: context() });
  return [asText(got), asText(expected), got];
}

async function expectSame(question: Question): Promise<ExecutionResult> {
  const [got, expected, result] = await both(question);
  expect(got).toBe(expected);
  return result;
}

const references = (ids: number[], type = 'User') => ids.map((id) => ({ __typename: type, id: String(id) }));
const everybody = Array.from({ length: 16 }, (_, index) => index + 1);

const cases: Record<string, Question> = {
  'entities by reference': {
    text: 'query($representations: [_Any!]!) { _entities(representations: $representations) { __typename ... on User { id nick role joined } ... on Robot { model } } }',
    variables: { representations: [...references(everybody), ...references([3, 6], 'Robot')] },
  },
  'entities whose non-null fields fail': {
    text: 'query($representations: [_Any!]!) { _entities(representations: $representations) { ... on User { brittle joined strictProfile { bio owner { brittle } } } } }',
    variables: { representations: references(everybody) },
  },
  'an entity of an unknown type': {
    text: 'query($r: [_Any!]!) { _entities(representations: $r) { __typename } }',
    variables: { r: [{ __typename: 'Nobody', id: '1' }] },
  },
  'one fragment spread twice, once under a condition': {
    text: 'query($a: Boolean!) { user(id: "2") { ...F @include(if: $a) ...F } } fragment F on User { name }',
    variables: { a: false },
  },
  'one fragment in two places under unlike conditions': {
    text: 'query($a: Boolean!) { x: user(id: "2") { ...F @skip(if: $a) id } y: user(id: "4") { ...F } } fragment F on User { boss { name title } }',
    variables: { a: true },
  },
  'a null condition': {
    text: 'query($a: Boolean = true) { user(id: "2") { id name @include(if: $a) boss { id @skip(if: $a) } } }',
    variables: { a: null },
  },
  'the default of a non-null variable': { text: 'query($n: Int! = 2) { user(id: "2") { friends(first: $n) { id } } }' },
  'a null variable for an argument with a default': {
    text: 'query($n: Int) { user(id: "2") { friends(first: $n) { id } } }',
    variables: { n: null },
  },
  'a variable left out inside an input object': {
    text: 'query($min: Int, $roles: [Role!]) { echo(filter: { min: $min, roles: $roles, nested: { max: 1 } }) }',
    variables: { roles: 'GUEST' },
  },
  'an internal enum value as default': {
    text: 'query($r: Role = GUEST, $s: Stamp = "1970-01-02T00:00:00Z") { echo(role: $r, stamp: $s) }',
  },
  'variables that do not fit': {
    text: 'query($r: Role!, $f: ScoreFilter, $n: Int) { echo(role: $r, filter: $f) users { friends(first: $n) { id } } }',
    variables: { r: 'KING', f: { min: 'x', other: 1 }, n: 1.5 },
  },
  'a literal its scalar refuses at execution': { text: '{ echo(stamp: "never") }' },
  'methods and promises as properties': {
    text: '{ maybeUsers(ids: ["1", "2", "7"]) { profile { lazy lazyList inner { lazy lazyList } } } }',
  },
  'a list that is no list': { text: '{ maybeUsers(ids: ["5", "10"]) { matrix } }' },
  'abstract types resolved at once and later': {
    text: '{ actors(limit: 6) { __typename id other: __typename ... on Robot { model owner { id } } ... on User { odd } } }',
  },
  'aliases that are names of the prototype': {
    text: '{ __proto__: me { constructor: name toString: id __proto__: title } hasOwnProperty: me { id } }',
  },
  'fields of duplicates in order of appearance': {
    text: '{ me { boss { id } name boss { name } ... on User { boss { title id } } } }',
  },
  introspection: { text: getIntrospectionQuery() },
  'the service': { text: '{ _service { sdl } __type(name: "User") { name } __typename }' },
  'mutations one after the other': {
    text: 'mutation { a: rename(id: "4") { name } b: score(input: { min: 3 }) c: rename(id: "9", name: null) { name brittle } d: fail(step: 5) { id } e: score(input: {}) }',
  },
  'several operations': { text: 'query A { me { id } } query B { me { name } }', operationName: 'B' },
};

for (const id of everybody) cases[`all fields of user ${id}`] = { text: everythingOf(String(id)) };

function everythingOf(id: string): string {
  return `{ user(id: "${id}") { id name title nick role odd tags matrix score joined brittle
    profile { bio city owner { name brittle } inner { bio lazy lazyList } } friends { id role } maybeFriends { id joined }
    boss { strictProfile { bio } } companion { __typename id ... on Robot { owner { brittle } } } } }`;
}

describe('a compiled operation answers as graphql-js does', () => {
  for (const [name, question] of Object.entries(cases)) test(name, () => expectSame(question));
});

test('mutations leave the same side effects in the same order', async () => {
  const document = parse(
    'mutation { a: rename(id: "4") { name } b: score(input: { min: 3 }) c: rename(id: "5") { name } }',
  );
  const [expected, got] = [context(), context()];
  await execute({ schema, document, contextValue: expected });
  await compileOperation(schema, document).execute({ contextValue: got });
  expect(expected.log).toHaveLength(6);
  expect(got.log).toEqual(expected.log);
});

test('variants of a document are kept apart, and stay right beyond the number that is kept', async () => {
  const names = Array.from({ length: 6 }, (_, index) => `v${index}`);
  const document = parse(
    `query(${names.map((name) => `$${name}: Boolean!`).join(' ')}) { me { ${names.map((name, index) => `f${index}: name @include(if: $${name})`).join(' ')} id } }`,
  );
  const operation = compileOperation(schema, document);
  for (let round = 0; round < 2; round += 1) {
    for (let bits = 0; bits < 64; bits += 1) {
      const variables = Object.fromEntries(names.map((name, index) => [name, ((bits >> index) & 1) === 1]));
      const expected = await execute({ schema, document, variableValues: variables });
      expect(asText(await operation.execute({ variables, contextValue: null }))).toBe(asText(expected));
    }
  }
});

test('a resolver may change its arguments and its answer without a trace in the next request', async () => {
  const seen: string[] = [];
  const given = new GraphQLSchema({
    query: new GraphQLObjectType({
      name: 'Query',
      fields: {
        take: {
          type: GraphQLString,
          args: { text: { type: GraphQLString, defaultValue: 'fresh' } },
          resolve(_source, values: { text: string }) {
            seen.push(values.text);
            values.text = 'changed';
            return values.text;
          },
        },
      },
    }),
  });
  const operation = compileOperation(given, parse('{ take other: take(text: "constant") }'));
  const first = await operation.execute({ contextValue: null });
  Object.assign(first.data ?? {}, { take: 'merged' });
  const second = await operation.execute({ contextValue: null });
  expect(seen).toEqual(['fresh', 'constant', 'fresh', 'constant']);
  expect(second.data?.['take']).toBe('changed');
});

test('what a resolver threw stays reachable', async () => {
  const failure = new CodedError('not today', 'UNAVAILABLE');
  const given = new GraphQLSchema({
    query: new GraphQLObjectType({
      name: 'Query',
      fields: {
        fail: { type: GraphQLString, resolve: () => Promise.reject(failure) },
        odd: { type: GraphQLString, resolve: () => Promise.reject('no error at all') },
      },
    }),
  });
  const result = await expectSame({ text: '{ fail odd }', schema: given });
  expect(result.errors?.[0]).toBeInstanceOf(GraphQLError);
  expect(result.errors?.[0]?.originalError).toBe(failure);
  expect(result.errors?.[0]?.extensions).toEqual({ code: 'UNAVAILABLE', retryable: true });
});

describe('runtime types', () => {
  const verdicts: Record<string, (value: { kind?: string }) => boolean | Promise<boolean>> = {
    Cat: ({ kind }) => kind === 'cat',
    Dog: async ({ kind }) => kind === 'dog',
  };
  const answers: Record<string, unknown> = {
    cat: { kind: 'cat' },
    dog: { kind: 'dog' },
    fish: { kind: 'fish' },
    broken: {
      get kind() {
        throw new Error('no kind');
      },
    },
  };
  const pet = new GraphQLInterfaceType({ name: 'Pet', fields: { kind: { type: GraphQLString } } });
  const types = Object.entries(verdicts).map(
    ([name, isTypeOf]) =>
      new GraphQLObjectType<{ kind?: string }>({
        name,
        interfaces: [pet],
        fields: { kind: { type: GraphQLString } },
        isTypeOf,
      }),
  );
  const named = new GraphQLInterfaceType({
    name: 'Named',
    fields: { kind: { type: GraphQLString } },
    resolveType: (value: { type: string }) => value.type,
  });
  const query = new GraphQLObjectType({
    name: 'Query',
    fields: {
      ...Object.fromEntries(
        Object.entries(answers).map(([name, value]) => [name, { type: pet, resolve: () => value }]),
      ),
      ...Object.fromEntries(types.map((type) => [`as${type.name}`, { type, resolve: () => answers['cat'] }])),
      missing: { type: named, resolve: () => ({ type: undefined }) },
      unknown: { type: named, resolve: () => ({ type: 'Nobody' }) },
      input: { type: named, resolve: () => ({ type: 'String' }) },
      other: { type: named, resolve: () => ({ type: 'Cat' }) },
      object: { type: named, resolve: () => ({ type: types[0] }) },
      number: { type: named, resolve: () => ({ type: 7 }) },
    },
  });
  const given = new GraphQLSchema({
    query,
    types: [
      ...types,
      new GraphQLObjectType({ name: 'Tag', interfaces: [named], fields: { kind: { type: GraphQLString } } }),
    ],
  });
  for (const name of Object.keys(query.getFields()))
    test(name, () => expectSame({ text: `{ ${name} { __typename kind } }`, schema: given }));
});

describe('promises nobody waits for', () => {
  const unhandled: unknown[] = [];
  const others = process.listeners('unhandledRejection');
  const collect = (reason: unknown) => void unhandled.push(reason);
  beforeEach(() => {
    unhandled.length = 0;
    process.removeAllListeners('unhandledRejection');
    process.on('unhandledRejection', collect);
  });
  afterEach(() => {
    process.off('unhandledRejection', collect);
    for (const listener of others) process.on('unhandledRejection', listener);
  });

  test('a list that fails as a whole leaves no rejection unhandled', async () => {
    const given = new GraphQLSchema({
      query: new GraphQLObjectType({
        name: 'Query',
        fields: {
          list: {
            type: new GraphQLList(new GraphQLNonNull(GraphQLString)),
            resolve: () => [Promise.reject(new Error('early')), null, Promise.reject(new Error('never reached'))],
          },
        },
      }),
    });
    const result = await compileOperation(given, parse('{ list }')).execute({ contextValue: null });
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(asText(result)).toContain('Cannot return null for non-nullable field Query.list.');
    expect(unhandled).toEqual([]);
  });
});
