import { readFileSync } from 'node:fs';
import {
  buildSchema,
  type GraphQLArgument,
  GraphQLError,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  parse,
} from 'graphql';

export type OperationKind = 'query' | 'mutation' | 'subscription';
export type RootField = GraphQLField<unknown, unknown>;

/** The composed API as clients see it. */
export function readApi(): GraphQLSchema {
  return buildSchema(readFileSync(new URL('../../../schema/api.graphql', import.meta.url), 'utf8'));
}

export function rootFieldsOf(schema: GraphQLSchema, kind: OperationKind): readonly RootField[] {
  const type =
    kind === 'query'
      ? schema.getQueryType()
      : kind === 'mutation'
        ? schema.getMutationType()
        : schema.getSubscriptionType();
  return Object.values(type?.getFields() ?? {});
}

const required = (argument: GraphQLArgument | GraphQLInputField) =>
  isNonNullType(argument.type) && argument.defaultValue === undefined;

/**
 * Selects every field of a type: the first entity met with everything in it, entities inside it with their plain
 * fields, entities inside those not at all. Fields that need arguments get them from `argumentsOf`.
 */
export function selectionOf(
  type: GraphQLOutputType,
  entities: ReadonlySet<string>,
  argumentsOf: (coordinate: string, field: RootField) => string = () => '',
  reach = 2,
): string {
  const select = (named: GraphQLNamedType, entityDepth: number, depth: number): string => {
    if (!isObjectType(named) || depth > 8) return '';
    const isEntity = entities.has(named.name);
    const inside = entityDepth + Number(isEntity);
    const parts: string[] = ['__typename'];
    for (const field of Object.values(named.getFields())) {
      const target = getNamedType(field.type);
      // `nodes` has the same in it.
      if (field.name === 'edges' && isObjectType(target) && target.getFields()['cursor'] !== undefined) {
        parts.push('edges { cursor }');
        continue;
      }
      const given = argumentsOf(`${named.name}.${field.name}`, field);
      if (given === '' && field.args.some(required)) continue;
      if (isLeafType(target)) parts.push(field.name + given);
      else if (inside < reach || (!isEntity && inside <= reach)) {
        if (inside === reach && entities.has(target.name)) continue;
        const selected = select(target, inside, depth + 1);
        if (selected !== '') parts.push(`${field.name}${given} ${selected}`);
      }
    }
    return `{ ${parts.join(' ')} }`;
  };
  return select(getNamedType(type), 0, 0);
}

/** What the walk puts where. */
export interface Values {
  /** Id for an ID argument or input field; throws when it does not know the name, so that new ones are noticed. */
  id(coordinate: string, name: string): string;
  /** Any other value that the types alone do not tell; undefined to go by the type. */
  override(coordinate: string): unknown;
  text(name: string): string;
}

export interface Variant {
  /** Which optional argument it adds; empty for the plain call. */
  readonly added: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly hasId: boolean;
}

/** The plain call of a field, and one call more for each optional argument or input field, given alone. */
export function variantsOf(field: RootField, values: Values): readonly Variant[] {
  let hasId = false;
  const valueFor = (type: GraphQLInputType, coordinate: string, name: string): unknown => {
    const given = values.override(coordinate);
    if (given !== undefined) return given;
    if (isNonNullType(type)) return valueFor(type.ofType, coordinate, name);
    if (isListType(type)) return [valueFor(type.ofType, coordinate, name)];
    if (isInputObjectType(type)) {
      const entries = Object.values(type.getFields()).flatMap((inner) =>
        required(inner) || values.override(`${type.name}.${inner.name}`) !== undefined
          ? [[inner.name, valueFor(inner.type, `${type.name}.${inner.name}`, inner.name)]]
          : [],
      );
      return Object.fromEntries(entries) as unknown;
    }
    if (isEnumType(type)) return type.getValues()[0]!.name;
    switch (type.name) {
      case 'ID':
        hasId = true;
        return values.id(coordinate, name);
      case 'String':
        return values.text(name);
      case 'Int':
        return 20;
      case 'Float':
        return 0.5;
      case 'Boolean':
        return true;
      case 'DateTime':
        return '2099-01-01T00:00:00.000Z';
      case 'DurationMs':
        return 3_600_000;
      case 'JSON':
        return { walk: values.text(name) };
      default:
        throw new Error(`the walk has no value for the type ${type.name}: add it`);
    }
  };
  const base: Record<string, unknown> = {};
  for (const argument of field.args) {
    const coordinate = `${field.name}.${argument.name}`;
    if (required(argument) || values.override(coordinate) !== undefined)
      base[argument.name] = valueFor(argument.type, coordinate, argument.name);
  }
  const plainHasId = hasId;
  const variants: Variant[] = [{ added: '', variables: base, hasId }];
  const add = (added: string, build: () => Record<string, unknown>) => {
    hasId = plainHasId;
    const variables = build();
    variants.push({ added, variables, hasId });
  };
  for (const argument of field.args) {
    const coordinate = `${field.name}.${argument.name}`;
    const named = getNamedType(argument.type);
    if (!(argument.name in base) && !isInputObjectType(named))
      add(argument.name, () => ({ ...base, [argument.name]: valueFor(argument.type, coordinate, argument.name) }));
    if (!isInputObjectType(named)) continue;
    const list = isListType(isNonNullType(argument.type) ? argument.type.ofType : argument.type);
    for (const inner of Object.values(named.getFields())) {
      if (required(inner)) continue;
      add(`${argument.name}.${inner.name}`, () => {
        const before = base[argument.name] ?? {};
        const object = {
          ...((list ? (before as unknown[])[0] : before) as object),
          [inner.name]: valueFor(inner.type, `${named.name}.${inner.name}`, inner.name),
        };
        return { ...base, [argument.name]: list ? [object] : object };
      });
    }
  }
  return variants;
}

/**
 * A document that calls one field with its arguments as variables: with all it has where that fits, so that the calls of a
 * field are one document, planned once; an argument whose variable is not given is not given.
 */
export function documentOf(
  kind: OperationKind,
  field: RootField,
  entities: ReadonlySet<string>,
  variables: Readonly<Record<string, unknown>>,
): string {
  if (!documents.has(field)) documents.set(field, documentWith(kind, field, { entities, args: field.args, reach: 2 }));
  const withAll = documents.get(field)!;
  if (withAll !== null) return withAll;
  const args = field.args.filter((argument) => argument.name in variables);
  // What lies behind the second entity is reached by that one's own edges, too.
  return (
    documentWith(kind, field, { entities, args, reach: 2 }) ??
    documentWith(kind, field, { entities, args: field.args, reach: 1 })!
  );
}

const documents = new WeakMap<RootField, string | null>();

/** Null where it has no room for the selection. */
function documentWith(
  kind: OperationKind,
  field: RootField,
  given: { readonly entities: ReadonlySet<string>; readonly args: readonly GraphQLArgument[]; readonly reach: 1 | 2 },
): string | null {
  const { args, entities, reach } = given;
  // One that has a default may be left out.
  const typeOf = (argument: GraphQLArgument) =>
    String(required(argument) ? argument.type : getNullableType(argument.type));
  const declared = args.map((argument) => `$${argument.name}: ${typeOf(argument)}`).join(', ');
  const passed = args.map((argument) => `${argument.name}: $${argument.name}`).join(', ');
  const selection = selectionOf(field.type, entities, undefined, reach);
  const document = `${kind} Walk${declared && `(${declared})`} { ${field.name}${passed && `(${passed})`} ${selection} }`;
  return reach === 1 || hasRoom(document) ? document : null;
}

/** The gateway parses it: it has no more tokens than a document may have. */
function hasRoom(document: string): boolean {
  try {
    parse(document, { maxTokens: 1_000 });
    return true;
  } catch (error) {
    if (error instanceof GraphQLError) return false;
    throw error;
  }
}

/** Fields of the objects among `types` that lead to an entity, alone, in a list or in a connection. */
export function edgesOf(
  schema: GraphQLSchema,
  entities: ReadonlySet<string>,
): readonly {
  readonly coordinate: string;
  readonly type: GraphQLObjectType;
  readonly field: RootField;
  readonly target: string;
}[] {
  return [...entities].flatMap((name) => {
    const type = schema.getType(name);
    if (!isObjectType(type)) return [];
    return Object.values(type.getFields()).flatMap((field) => {
      const target = getNamedType(field.type);
      const reached = entities.has(target.name)
        ? target
        : isObjectType(target) && target.getFields()['nodes']
          ? getNamedType(target.getFields()['nodes']!.type)
          : null;
      return reached ? [{ coordinate: `${name}.${field.name}`, type, field, target: reached.name }] : [];
    });
  });
}
