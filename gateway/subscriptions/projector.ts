import {
  type DocumentNode,
  type FieldNode,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNullableType,
  isAbstractType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isSpecifiedScalarType,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { fragmentsOf, planFields, type SelectionContext, type Variables } from './selection.ts';

export type PathStep = string | number;
type Source = Readonly<Record<string, unknown>>;

export interface ProjectionError {
  readonly message: string;
  readonly path: readonly PathStep[];
}

/** Fields that the payload does not carry, of an object whose owner can be asked for them by key. */
export interface MissingFields {
  readonly typeName: string;
  readonly source: Source;
  /** The projected object they belong into. */
  readonly target: Record<string, unknown>;
  readonly path: readonly PathStep[];
  readonly fields: readonly (readonly FieldNode[])[];
}

export interface Projection {
  readonly data: Record<string, unknown> | null;
  readonly errors: readonly ProjectionError[];
  readonly missing: readonly MissingFields[];
}

export type Projector = (payload: Source) => Projection;

export interface ProjectorOptions {
  readonly schema: GraphQLSchema;
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly variables: Variables;
  /** True when fields of such an object can be fetched by its key. */
  canFetch(typeName: string, source: Source): boolean;
  /** `spread` follows the specification where a non-null field is null, `keep` leaves the null (input of a plan). */
  readonly nulls: 'spread' | 'keep';
}

/** Null because of an error that is recorded already. */
const failed = Symbol('failed');
/** The same in a place that cannot be null: the parent takes it over. */
const bubbling = Symbol('bubbling');

interface State {
  readonly path: PathStep[];
  readonly errors: ProjectionError[];
  readonly missing: MissingFields[];
}

type Complete = (value: unknown, state: State) => unknown;

interface FieldPlan {
  readonly responseName: string;
  readonly fieldName: string;
  readonly nodes: readonly FieldNode[];
  readonly hasArguments: boolean;
  readonly complete: Complete;
}

/**
 * Compiles the selection of a subscription into a function from the root field's value to the result, with the
 * semantics of graphql-js's default resolvers. A field is served from the payload when the object there has its key
 * and the selection passes no argument; of an entity whose key is there, the rest is reported as missing; whatever
 * else is absent is null.
 */
export function compileProjector(options: ProjectorOptions): Projector {
  const { schema, document, operation, variables } = options;
  const context: SelectionContext = { schema, fragments: fragmentsOf(document), variables };
  const spread = options.nulls === 'spread';
  const rootType = schema.getSubscriptionType();
  if (rootType === undefined || rootType === null) throw new TypeError('The schema has no subscription type.');
  const rootFields = compileFields(rootType, [operation.selectionSet]);
  const rootField = rootFields[0];
  if (rootField === undefined || rootFields.length > 1) throw new TypeError('A subscription has one root field.');

  return (payload) => {
    const state: State = { path: [rootField.responseName], errors: [], missing: [] };
    const value = rootField.complete(payload, state);
    const data = value === bubbling ? null : { [rootField.responseName]: value === failed ? null : value };
    return { data, errors: state.errors, missing: state.missing };
  };

  function compileFields(type: GraphQLObjectType, selectionSets: readonly SelectionSetNode[]): FieldPlan[] {
    return planFields(context, type, selectionSets).map((field) => ({
      responseName: field.responseName,
      fieldName: field.fieldName,
      nodes: field.nodes,
      hasArguments: field.hasArguments,
      complete:
        field.type === undefined
          ? () => type.name
          : compileValue(field.type, field.selectionSets, `${type.name}.${field.fieldName}`),
    }));
  }

  function compileValue(
    type: GraphQLOutputType,
    selectionSets: readonly SelectionSetNode[],
    coordinate: string,
  ): Complete {
    if (isNonNullType(type)) {
      const inner = compileValue(getNullableType(type), selectionSets, coordinate);
      if (!spread) return inner;
      return (value, state) => {
        const result = inner(value, state);
        if (result === null) {
          record(state, `Cannot return null for non-nullable field ${coordinate}.`);
          return bubbling;
        }
        return result === failed ? bubbling : result;
      };
    }
    if (isListType(type)) return compileList(compileValue(type.ofType, selectionSets, coordinate), coordinate);
    if (isLeafType(type)) {
      if (!isSpecifiedScalarType(type)) return (value) => value ?? null;
      return (value, state) => {
        if (value === null || value === undefined) return null;
        try {
          return type.serialize(value);
        } catch (error) {
          record(state, error instanceof Error ? error.message : String(error));
          return failed;
        }
      };
    }
    if (isObjectType(type)) {
      // Compiled at first use: selections of recursive types end only with the document.
      let fields: FieldPlan[] | undefined;
      return (value, state) => {
        if (value === null || value === undefined) return null;
        fields ??= compileFields(type, selectionSets);
        return completeObject(type, fields, value, state);
      };
    }
    const byType = new Map<string, FieldPlan[]>();
    return (value, state) => {
      if (value === null || value === undefined) return null;
      const typeName = isSource(value) ? value['__typename'] : undefined;
      const runtimeType = typeof typeName === 'string' ? schema.getType(typeName) : undefined;
      if (!isObjectType(runtimeType) || (isAbstractType(type) && !schema.isSubType(type, runtimeType))) {
        record(
          state,
          `${coordinate} is of abstract type ${type.name}: the value must name its object type in __typename.`,
        );
        return failed;
      }
      let fields = byType.get(runtimeType.name);
      if (fields === undefined) {
        fields = compileFields(runtimeType, selectionSets);
        byType.set(runtimeType.name, fields);
      }
      return completeObject(runtimeType, fields, value, state);
    };
  }

  function compileList(item: Complete, coordinate: string): Complete {
    return (value, state) => {
      if (value === null || value === undefined) return null;
      if (!Array.isArray(value)) {
        record(state, `${coordinate} is a list, got ${typeof value}.`);
        return failed;
      }
      const result: unknown[] = [];
      for (let index = 0; index < value.length; index++) {
        state.path.push(index);
        const element = item(value[index], state);
        state.path.pop();
        if (element === bubbling) return failed;
        result.push(element === failed ? null : element);
      }
      return result;
    };
  }

  function completeObject(
    type: GraphQLObjectType,
    fields: readonly FieldPlan[],
    value: unknown,
    state: State,
  ): unknown {
    if (!isSource(value)) {
      record(state, `${type.name} is an object, got ${typeof value}.`);
      return failed;
    }
    const result: Record<string, unknown> = {};
    let missing: (readonly FieldNode[])[] | undefined;
    for (const field of fields) {
      let fieldValue = field.hasArguments ? undefined : value[field.fieldName];
      if (fieldValue === undefined && field.fieldName !== '__typename') {
        if (options.canFetch(type.name, value)) {
          missing ??= [];
          missing.push(field.nodes);
          // Keeps the place, so that the order of fields is that of the selection.
          result[field.responseName] = null;
          continue;
        }
        fieldValue = null;
      }
      state.path.push(field.responseName);
      const completed = field.complete(fieldValue, state);
      state.path.pop();
      if (completed === bubbling) return failed;
      result[field.responseName] = completed === failed ? null : completed;
    }
    if (missing !== undefined) {
      state.missing.push({
        typeName: type.name,
        source: value,
        target: result,
        path: [...state.path],
        fields: missing,
      });
    }
    return result;
  }
}

function record(state: State, message: string): void {
  state.errors.push({ message, path: [...state.path] });
}

function isSource(value: unknown): value is Source {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
