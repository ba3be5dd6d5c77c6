import {
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isScalarType,
  isSpecifiedScalarType,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';
import { isInherited, type JsonObject, readOwn } from './merge.ts';

/** What cannot be told here: the gateway executes the operation anew and says what is wrong. */
export class NotShapeable extends Error {}

/** Data as the client asked for it; null where a null has come up to the top. */
export interface Shaped {
  readonly data: JsonObject | null;
  /** Whether a value was not what the schema says. */
  readonly isFaulty: boolean;
}

export type Shape = (input: JsonObject) => Shaped;

/** Marks a value that its parent may not be without. */
const invalid = Symbol('invalid');

interface State {
  isFaulty: boolean;
}

type ShapeValue = (value: unknown, state: State) => unknown;

interface FieldShape {
  readonly name: string;
  readonly read: (from: JsonObject) => unknown;
  /** Whether the property may be read without looking whose it is. */
  readonly isOwn: boolean;
  /** Values of this JavaScript type are the answer as they are. */
  readonly verbatim: 'string' | 'boolean' | null;
  /** Null for `__typename`. */
  readonly shape: ShapeValue | null;
}

export interface ShapeOptions {
  readonly schema: GraphQLSchema;
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  /** Values of the variables that `@skip` and `@include` go by. */
  readonly conditions: Readonly<Record<string, boolean>>;
}

/**
 * Compiles what makes the client's answer of what the subgraphs sent: its fields in its order, nulls brought up to where
 * the schema allows them. The fields of a type are collected when an object of it is first met (GraphQL specification,
 * "CollectFields").
 * @throws {NotShapeable} where a name could not stand in a plain object
 */
export function compileShape({ schema, document, operation, conditions }: ShapeOptions): Shape {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const node of document.definitions)
    if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node);

  function isIncluded({ directives = [] }: SelectionNode): boolean {
    return directives.every((directive) => {
      const value = directive.arguments?.[0]?.value;
      if (directive.name.value !== 'skip' && directive.name.value !== 'include') return true;
      const given =
        value?.kind === Kind.VARIABLE
          ? conditions[value.name.value]
          : value?.kind === Kind.BOOLEAN
            ? value.value
            : undefined;
      if (given === undefined) throw new NotShapeable();
      return (directive.name.value === 'include') === given;
    });
  }

  function applies(typeCondition: string | undefined, type: GraphQLObjectType): boolean {
    if (typeCondition === undefined || typeCondition === type.name) return true;
    const conditional = schema.getType(typeCondition);
    return isAbstractType(conditional) && schema.isSubType(conditional, type);
  }

  function collect(
    sets: readonly SelectionSetNode[],
    type: GraphQLObjectType,
    fields: Map<string, { name: string; sets: SelectionSetNode[] }>,
  ): void {
    for (const set of sets)
      for (const selection of set.selections) {
        if (!isIncluded(selection)) continue;
        if (selection.kind === Kind.FIELD) {
          const response = (selection.alias ?? selection.name).value;
          const known = fields.get(response) ?? { name: selection.name.value, sets: [] };
          if (selection.selectionSet) known.sets.push(selection.selectionSet);
          fields.set(response, known);
          continue;
        }
        const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value) : selection;
        if (!fragment) throw new NotShapeable();
        if (applies(fragment.typeCondition?.name.value, type)) collect([fragment.selectionSet], type, fields);
      }
  }

  function fieldsOf(sets: readonly SelectionSetNode[], type: GraphQLObjectType): readonly FieldShape[] {
    const fields = new Map<string, { name: string; sets: SelectionSetNode[] }>();
    collect(sets, type, fields);
    return [...fields].map(([response, field]): FieldShape => {
      if (response === '__proto__') throw new NotShapeable();
      const named = { name: response, read: readOwn(response), isOwn: !isInherited(response) };
      if (field.name === '__typename') return { ...named, verbatim: null, shape: null };
      const definition = type.getFields()[field.name];
      if (!definition) throw new NotShapeable();
      return { ...named, verbatim: verbatimOf(definition.type), shape: shapeOf(definition.type, field.sets) };
    });
  }

  function shapeObject(sets: readonly SelectionSetNode[], type: GraphQLCompositeType): ShapeValue {
    const byType = new Map<string, { readonly name: string; readonly fields: readonly FieldShape[] }>();
    function find(name: string) {
      const runtime = schema.getType(name);
      if (!isObjectType(runtime)) throw new NotShapeable();
      const made = { name, fields: fieldsOf(sets, runtime) };
      byType.set(name, made);
      return made;
    }
    return (value, state) => {
      if (typeof value !== 'object' || Array.isArray(value)) throw new NotShapeable();
      const input = value as JsonObject;
      const given = input['__typename'] ?? type.name;
      if (typeof given !== 'string') throw new NotShapeable();
      const { name, fields } = byType.get(given) ?? find(given);
      const output: JsonObject = {};
      for (const field of fields) {
        if (field.shape === null) {
          output[field.name] = name;
          continue;
        }
        const found = field.isOwn ? input[field.name] : field.read(input);
        if (typeof found === field.verbatim) {
          output[field.name] = found;
          continue;
        }
        const made = field.shape(found, state);
        if (made === invalid) return null;
        output[field.name] = made;
      }
      return output;
    };
  }

  function shapeOf(type: GraphQLOutputType, sets: readonly SelectionSetNode[]): ShapeValue {
    if (isNonNullType(type)) {
      const inner = shapeOf(type.ofType, sets);
      return (value, state) => {
        const made = inner(value, state);
        if (made !== null) return made;
        // Where a subgraph has said why it is null nobody asks.
        state.isFaulty = true;
        return invalid;
      };
    }
    if (isListType(type)) {
      const inner = shapeOf(type.ofType, sets);
      return (value, state) => {
        if (value === null || value === undefined) return null;
        if (!Array.isArray(value)) throw new NotShapeable();
        const made = new Array<unknown>(value.length);
        let isNull = false;
        for (let at = 0; at < value.length; at += 1) {
          const each = inner(value[at], state);
          if (each === invalid) isNull = true;
          made[at] = each;
        }
        return isNull ? null : made;
      };
    }
    if (isLeafType(type)) return shapeLeaf(type);
    const composite = getNamedType(type);
    if (!isCompositeType(composite)) throw new NotShapeable();
    const object = shapeObject(sets, composite);
    return (value, state) => (value === null || value === undefined ? null : object(value, state));
  }

  const root = schema.getRootType(operation.operation);
  if (!root) throw new NotShapeable();
  const top = shapeObject([operation.selectionSet], root);
  return (input) => {
    const state: State = { isFaulty: false };
    const data = top({ ...input, __typename: root.name }, state) as JsonObject | null;
    return { data, isFaulty: state.isFaulty };
  };
}

const whole = /^-?\d+$/;
const isWhole = (value: unknown): boolean =>
  typeof value === 'number' && Number.isFinite(value) && (Number.isSafeInteger(value) || whole.test(String(value)));

/** What ApolloGateway takes for a value of the scalars that the specification has. */
const checks: Readonly<Record<string, (value: unknown) => boolean>> = {
  Boolean: (value) => typeof value === 'boolean',
  Float: (value) => typeof value === 'number' && Number.isFinite(value),
  ID: (value) => typeof value === 'string' || isWhole(value),
  Int: isWhole,
  String: (value) => typeof value === 'string',
};

/** By name: the supergraph's schema has scalars of its own. */
function verbatimOf(type: GraphQLOutputType): FieldShape['verbatim'] {
  const inner = getNullableType(type);
  if (!isScalarType(inner) || !isSpecifiedScalarType(inner)) return null;
  if (inner.name === 'String' || inner.name === 'ID') return 'string';
  return inner.name === 'Boolean' ? 'boolean' : null;
}

/** As ApolloGateway checks what came: custom scalars may be anything. */
function shapeLeaf(type: GraphQLLeafType): ShapeValue {
  const isValid = isEnumType(type)
    ? (value: unknown) => typeof value === 'string' && type.getValue(value) !== undefined
    : isSpecifiedScalarType(type)
      ? checks[type.name]
      : undefined;
  if (isValid === undefined) return (value) => value ?? null;
  return (value, state) => {
    if (value === null || value === undefined) return null;
    if (isValid(value)) return value;
    state.isFaulty = true;
    return null;
  };
}
