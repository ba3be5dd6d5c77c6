import {
  type GraphQLArgument,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isUnionType,
  parse,
  print,
  validate,
} from 'graphql';
import { hash } from './fixtures/outcome.ts';
import type { Random } from './random.ts';

export interface GeneratedOperation {
  readonly text: string;
  readonly variables: Record<string, unknown>;
}

interface Draft {
  readonly schema: GraphQLSchema;
  readonly random: Random;
  readonly definitions: string[];
  readonly variables: Record<string, unknown>;
  readonly fragments: { readonly name: string; readonly type: GraphQLCompositeType; readonly text: string }[];
}

/** A random operation that is valid against the schema, with values for its variables. */
export function generateOperation(schema: GraphQLSchema, random: Random): GeneratedOperation {
  for (;;) {
    const draft: Draft = { schema, random, definitions: [], variables: {}, fragments: [] };
    const mutation = random.chance(0.12);
    const root = mutation ? schema.getMutationType()! : schema.getQueryType()!;
    const body = selectionSet(draft, root, mutation ? 3 : 4);
    const head = draft.definitions.length > 0 ? `(${draft.definitions.join(', ')})` : '';
    const text = [
      `${mutation ? 'mutation' : 'query'} Generated${head} ${body}`,
      ...draft.fragments.map((fragment) => fragment.text),
    ].join('\n');
    // Literals may be out of range and fragments impossible: what a gateway would refuse is drawn again.
    const document = parse(text);
    if (validate(schema, document).length === 0) return { text: print(document), variables: draft.variables };
  }
}

function selectionSet(draft: Draft, type: GraphQLCompositeType, depth: number): string {
  const { random, schema } = draft;
  const selections: string[] = [];
  const fields = isUnionType(type) ? [] : Object.values(type.getFields());
  const leaves = fields.filter((field) => !isCompositeType(getNamedType(field.type)));
  const branches = depth > 0 ? fields.filter((field) => isCompositeType(getNamedType(field.type))) : [];
  for (let count = 1 + random.below(3); count > 0; count -= 1) {
    if (branches.length > 0 && random.chance(0.55)) selections.push(fieldText(draft, random.pick(branches), depth));
    else if (leaves.length > 0) selections.push(fieldText(draft, random.pick(leaves), depth));
    else selections.push(random.chance(0.3) ? `kind${random.below(2)}: __typename` : '__typename');
  }
  if (random.chance(0.15) && selections[0]) selections.push(selections[0]);
  if (random.chance(0.12)) selections.push(random.chance(0.5) ? '__typename' : `alias${random.below(3)}: __typename`);
  if (isAbstractType(type) ? random.chance(0.9) : random.chance(0.15)) {
    const possible = isAbstractType(type) ? schema.getPossibleTypes(type) : [type];
    for (let count = 1 + random.below(2); count > 0; count -= 1)
      selections.push(fragmentText(draft, type, random.pick([...possible, type]), depth));
  }
  return `{ ${selections.join(' ')} }`;
}

function fragmentText(draft: Draft, parent: GraphQLCompositeType, target: GraphQLCompositeType, depth: number): string {
  const { random, fragments } = draft;
  const condition = directives(draft);
  if (random.chance(0.5)) {
    const known = fragments.filter((fragment) => fragment.type === target);
    if (known.length > 0 && random.chance(0.5)) return `...${random.pick(known).name} ${condition}`;
    const inner = selectionSet(draft, target, depth - 1);
    const name = `F${fragments.length}`;
    fragments.push({ name, type: target, text: `fragment ${name} on ${target.name} ${inner}` });
    return `...${name} ${condition}`;
  }
  const on = target === parent && random.chance(0.3) ? '' : ` on ${target.name}`;
  return `...${on} ${condition} ${selectionSet(draft, target, depth - 1)}`;
}

function fieldText(draft: Draft, field: GraphQLField<unknown, unknown>, depth: number): string {
  const { random } = draft;
  const given: string[] = [];
  for (const argument of field.args) {
    const needed = isNonNullType(argument.type) && argument.defaultValue === undefined;
    if (needed || random.chance(0.6)) given.push(`${argument.name}: ${argumentText(draft, argument)}`);
  }
  const call = given.length > 0 ? `(${given.join(', ')})` : '';
  const named = getNamedType(field.type);
  // Fields of one name and unlike arguments or types cannot be merged: their aliases keep them apart.
  const alias = call
    ? `${field.name}${hash(call) % 997}: `
    : random.chance(0.15)
      ? `${field.name}As${hash(String(field.type)) % 97}: `
      : '';
  const inner = isCompositeType(named) ? ` ${selectionSet(draft, named, depth - 1)}` : '';
  return `${alias}${field.name}${call} ${directives(draft)}${inner}`;
}

function directives(draft: Draft): string {
  const { random } = draft;
  if (!random.chance(0.12)) return '';
  const condition = () =>
    random.chance(0.2)
      ? String(random.chance(0.5))
      : variable(draft, 'Boolean!', random.chance(0.6), random.chance(0.3) ? String(random.chance(0.5)) : null);
  const texts = random.chance(0.15)
    ? [`@include(if: ${condition()})`, `@skip(if: ${condition()})`]
    : [random.chance(0.5) ? `@include(if: ${condition()})` : `@skip(if: ${condition()})`];
  return texts.join(' ');
}

/** Declares a variable; with a default it is sometimes left out of the request. */
function variable(draft: Draft, type: string, value: unknown, defaultText: string | null): string {
  const name = `v${draft.definitions.length}`;
  draft.definitions.push(`$${name}: ${type}${defaultText === null ? '' : ` = ${defaultText}`}`);
  if (value !== undefined && (defaultText === null || draft.random.chance(0.5))) draft.variables[name] = value;
  return `$${name}`;
}

function argumentText(draft: Draft, argument: GraphQLArgument): string {
  const { random } = draft;
  if (random.chance(0.5)) return literal(draft, argument.type);
  const [value, text] = drawValue(draft, argument.type);
  const optional = !isNonNullType(argument.type);
  const type = optional && random.chance(0.3) && value !== null ? `${argument.type}!` : String(argument.type);
  if (optional && !type.endsWith('!') && random.chance(0.15)) return variable(draft, type, undefined, null);
  return variable(draft, type, value, random.chance(0.3) && value !== null ? text : null);
}

/** A literal, inside which variables may stand. */
function literal(draft: Draft, type: GraphQLInputType): string {
  const { random } = draft;
  if (!isNonNullType(type) && random.chance(0.06)) return 'null';
  const nullable = getNullableType(type);
  if (isListType(nullable) && random.chance(0.7))
    return `[${Array.from({ length: random.below(4) }, () => literal(draft, nullable.ofType)).join(', ')}]`;
  if (isInputObjectType(nullable)) {
    const fields = Object.values(nullable.getFields()).filter((field) =>
      random.chance(field.name === 'nested' ? 0.2 : 0.45),
    );
    return `{ ${fields.map((field) => `${field.name}: ${random.chance(0.2) ? argumentText(draft, { ...field, astNode: null } as GraphQLArgument) : literal(draft, field.type)}`).join(', ')} }`;
  }
  return drawValue(draft, type)[1];
}

/** A value as JSON and as literal. */
function drawValue(draft: Draft, type: GraphQLInputType): [unknown, string] {
  const { random } = draft;
  if (!isNonNullType(type) && random.chance(0.06)) return [null, 'null'];
  const nullable = getNullableType(type);
  if (isListType(nullable)) {
    const items = Array.from({ length: random.below(4) }, () => drawValue(draft, nullable.ofType));
    return [items.map(([value]) => value), `[${items.map(([, text]) => text).join(', ')}]`];
  }
  if (isInputObjectType(nullable)) {
    const fields = Object.values(nullable.getFields())
      .filter((field) => random.chance(field.name === 'nested' ? 0.2 : 0.45))
      .map((field) => [field.name, drawValue(draft, field.type)] as const);
    return [
      Object.fromEntries(fields.map(([name, [value]]) => [name, value])),
      `{ ${fields.map(([name, [, text]]) => `${name}: ${text}`).join(', ')} }`,
    ];
  }
  if (isEnumType(nullable)) {
    const { name } = random.pick(nullable.getValues());
    return [name, name];
  }
  const value = scalarValue(String(getNamedType(nullable)), random);
  return [value, JSON.stringify(value)];
}

function scalarValue(name: string, random: Random): unknown {
  switch (name) {
    case 'Int':
      return random.below(6);
    case 'Float':
      return random.below(100) / 4;
    case 'Boolean':
      return random.chance(0.5);
    case 'Stamp':
      return new Date(random.below(1_000) * 86_400_000).toISOString();
    case 'ID':
      return String(1 + random.below(16));
    default:
      return `text ${random.below(10)}`;
  }
}
