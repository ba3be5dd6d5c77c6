import {
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  getNullableType,
  isAbstractType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isSpecifiedScalarType,
  type SelectionSetNode,
} from 'graphql';
import { jsonOf, jsonOfString } from './jsonText.ts';
import type { ProjectorOptions } from './projector.ts';
import { isRecord } from './records.ts';
import { fragmentsOf, planFields, type SelectionContext } from './selection.ts';

/** The text of a result, of the root field's value; undefined for what only the projector knows an answer to. */
export type WriteResult = (payload: Readonly<Record<string, unknown>>) => string | undefined;

/** The text of a value, or undefined for what only the projector knows an answer to: an error, a field to be fetched. */
type Write = (value: unknown) => string | undefined;

interface FieldWriter {
  readonly fieldName: string;
  /** What stands before the value: the brace or comma, type names selected before it, its own name. */
  readonly before: string;
  readonly hasArguments: boolean;
  readonly write: Write;
}

interface ObjectWriter {
  readonly fields: readonly FieldWriter[];
  /** What stands after the last value. */
  readonly end: string;
}

/** What setting a property of that name would not keep: left to the projector and what it makes of it. */
const unkeptName = '__proto__';

/**
 * Compiles a selection into a function from the root field's value straight to the text of its result, the one
 * `JSON.stringify` makes of what the projector of the same options (with `nulls: 'spread'`) answers, without the objects in
 * between. It knows results without errors that the payload carries whole, and answers undefined for any other.
 */
export function compileResultWriter(options: Omit<ProjectorOptions, 'nulls'>): WriteResult {
  const { schema, document, operation, variables, canFetch } = options;
  const context: SelectionContext = { schema, fragments: fragmentsOf(document), variables };
  const rootType = schema.getSubscriptionType();
  const rootField = rootType ? planFields(context, rootType, [operation.selectionSet])[0] : undefined;
  if (rootField?.type === undefined || rootField.responseName === unkeptName) return () => undefined;
  const write = compileValue(rootField.type, rootField.selectionSets);
  const start = `{"data":{${JSON.stringify(rootField.responseName)}:`;
  return (payload) => {
    const text = write(payload);
    return text === undefined ? undefined : `${start}${text}}}`;
  };

  function compileValue(type: GraphQLOutputType, selectionSets: readonly SelectionSetNode[]): Write {
    if (isNonNullType(type)) {
      const inner = compileValue(getNullableType(type), selectionSets);
      return (value) => (value === null || value === undefined ? undefined : inner(value));
    }
    if (isListType(type)) return compileList(compileValue(type.ofType, selectionSets));
    if (isLeafType(type)) return compileLeaf(type);
    if (isObjectType(type)) {
      // Compiled at first use: selections of recursive types end only with the document.
      let writer: ObjectWriter | undefined;
      return (value) => {
        if (value === null || value === undefined) return 'null';
        writer ??= compileObject(type, selectionSets);
        return writeObject(type, writer, value);
      };
    }
    const byType = new Map<string, readonly [GraphQLObjectType, ObjectWriter]>();
    return (value) => {
      if (value === null || value === undefined) return 'null';
      const typeName = isRecord(value) ? value['__typename'] : undefined;
      if (typeof typeName !== 'string') return undefined;
      let known = byType.get(typeName);
      if (known === undefined) {
        const runtimeType = schema.getType(typeName);
        if (!isObjectType(runtimeType) || (isAbstractType(type) && !schema.isSubType(type, runtimeType)))
          return undefined;
        known = [runtimeType, compileObject(runtimeType, selectionSets)];
        byType.set(typeName, known);
      }
      return writeObject(known[0], known[1], value);
    };
  }

  function compileObject(type: GraphQLObjectType, selectionSets: readonly SelectionSetNode[]): ObjectWriter {
    const fields: FieldWriter[] = [];
    let before = '{';
    let separator = '';
    for (const field of planFields(context, type, selectionSets)) {
      before += `${separator}${JSON.stringify(field.responseName)}:`;
      separator = ',';
      if (field.responseName === unkeptName) {
        fields.push({ fieldName: field.fieldName, before, hasArguments: false, write: () => undefined });
      } else if (field.type === undefined) {
        before += JSON.stringify(type.name);
      } else {
        const { fieldName, hasArguments } = field;
        fields.push({ fieldName, before, hasArguments, write: compileValue(field.type, field.selectionSets) });
        before = '';
      }
    }
    return { fields, end: `${before}}` };
  }

  function writeObject(type: GraphQLObjectType, { fields, end }: ObjectWriter, value: unknown): string | undefined {
    if (!isRecord(value)) return undefined;
    let text = '';
    for (const field of fields) {
      const fieldValue = field.hasArguments ? undefined : value[field.fieldName];
      if (fieldValue === undefined && canFetch(type.name, value)) return undefined;
      const written = field.write(fieldValue);
      if (written === undefined) return undefined;
      text += field.before + written;
    }
    return text + end;
  }
}

function compileList(item: Write): Write {
  return (value) => {
    if (value === null || value === undefined) return 'null';
    if (!Array.isArray(value)) return undefined;
    let text = '[';
    for (let index = 0; index < value.length; index++) {
      const element = item(value[index]);
      if (element === undefined) return undefined;
      text += index === 0 ? element : `,${element}`;
    }
    return `${text}]`;
  };
}

function compileLeaf(type: GraphQLLeafType): Write {
  const isOwn = !isSpecifiedScalarType(type);
  const isText = isOwn || type.name === 'String' || type.name === 'ID';
  return (value) => {
    if (isText && typeof value === 'string') return jsonOfString(value);
    if (value === null || value === undefined) return 'null';
    try {
      return jsonOf(isOwn ? value : type.serialize(value));
    } catch {
      return undefined;
    }
  };
}
