import { readFileSync } from 'node:fs';
import {
  buildSchema,
  coerceInputValue,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isInputObjectType,
  isLeafType,
  isNonNullType,
  isObjectType,
  Kind,
  parse,
  type SelectionNode,
  validate,
} from 'graphql';
import { subgraphNames } from '../../names.ts';
import type { Call } from './definition.ts';

/** A call that can be sent as it stands. */
export interface Operation {
  readonly module: string;
  readonly kind: 'query' | 'mutation';
  readonly field: string;
  readonly document: string;
  /** Where its idempotency key goes; null for a query. */
  readonly keyAt: readonly string[] | null;
  /** Whether a path leads into what it answers; without knowing more of JSON inside. */
  answers(path: readonly string[]): boolean;
}

export interface OperationFault {
  readonly code: 'UNKNOWN_OPERATION' | 'VALIDATION_FAILED';
  readonly message: string;
}

/** The operations that steps may call: the graph's own, by the module that serves them. */
export interface Operations {
  readonly modules: readonly string[];
  /** Names of the arguments of an operation; null where the module has none of the name. */
  argumentsOf(module: string, action: string): readonly string[] | null;
  /** What the call would send, or what is wrong with it. */
  read(call: Call): Operation | OperationFault;
}

export function isFault(value: Operation | OperationFault): value is OperationFault {
  return 'code' in value;
}

interface Owned {
  readonly kind: 'query' | 'mutation';
  readonly field: GraphQLField<unknown, unknown>;
}

/** Operations that are kept as they are sent. */
const maxKept = 2_000;

/** Built once per process when the first workflow asks: the schema takes some ten milliseconds to build. */
export function createOperations(): Operations {
  let known: Catalogue | undefined;
  const sent = new Map<string, Operation | OperationFault>();
  const catalogue = () => {
    known ??= readCatalogue();
    return known;
  };
  return {
    modules: subgraphNames.filter((name) => name !== 'core'),
    argumentsOf: (module, action) =>
      catalogue()
        .byModule.get(module)
        ?.get(action)
        ?.field.args.map(({ name }) => name) ?? null,
    read(call) {
      const { module, action, select, input } = call;
      const { schema, byModule } = catalogue();
      if (module === 'core')
        return faultOf('UNKNOWN_OPERATION', 'core calls the other modules: name a sub-workflow instead');
      const owned = byModule.get(module)?.get(action);
      if (!owned) return faultOf('UNKNOWN_OPERATION', `${module} has no operation ${action}`);
      const fault = checkInput(action, input, owned);
      if (fault !== null) return fault;
      // The document has the arguments as variables: it is the same whatever they are.
      const key = JSON.stringify([module, action, select, Object.keys(input).sort()]);
      const before = sent.get(key);
      if (before) return before;
      const operation = readOperation(call, owned, schema);
      if (sent.size >= maxKept) sent.clear();
      sent.set(key, operation);
      return operation;
    },
  };
}

const faultOf = (code: OperationFault['code'], message: string): OperationFault => ({ code, message });

interface Catalogue {
  readonly schema: GraphQLSchema;
  readonly byModule: ReadonlyMap<string, ReadonlyMap<string, Owned>>;
}

function readCatalogue(): Catalogue {
  const schema = buildSchema(readFileSync(new URL('../../../schema/api.graphql', import.meta.url), 'utf8'));
  const byModule = new Map<string, ReadonlyMap<string, Owned>>();
  for (const name of subgraphNames) {
    const sdl = parse(readFileSync(new URL(`../../../schema/${name}.graphql`, import.meta.url), 'utf8'));
    const owned = new Map<string, Owned>();
    for (const node of sdl.definitions) {
      if (node.kind !== Kind.OBJECT_TYPE_DEFINITION && node.kind !== Kind.OBJECT_TYPE_EXTENSION) continue;
      const kind = node.name.value === 'Query' ? 'query' : node.name.value === 'Mutation' ? 'mutation' : null;
      const type = kind === 'query' ? schema.getQueryType() : schema.getMutationType();
      for (const { name: field } of kind === null ? [] : (node.fields ?? [])) {
        const found = type?.getFields()[field.value];
        if (kind !== null && found) owned.set(field.value, { kind, field: found });
      }
    }
    byModule.set(name, owned);
  }
  return { schema, byModule };
}

function checkInput(action: string, input: Call['input'], { field }: Owned): OperationFault | null {
  const unknown = Object.keys(input).find((name) => !field.args.some((argument) => argument.name === name));
  if (unknown !== undefined) return faultOf('VALIDATION_FAILED', `${action} takes no argument ${unknown.slice(0, 60)}`);
  for (const { name, type, defaultValue } of field.args) {
    const given = input[name];
    if (given === undefined) {
      if (isNonNullType(type) && defaultValue === undefined)
        return faultOf('VALIDATION_FAILED', `${action} needs the argument ${name}`);
    } else if (!JSON.stringify(given).includes('${')) {
      // What has placeholders is checked when they are filled in.
      let problem: string | null = null;
      coerceInputValue(given, type, (path, _value, error) => {
        problem ??= `${[name, ...path].join('.')}: ${error.message}`;
      });
      if (problem !== null) return faultOf('VALIDATION_FAILED', problem);
    }
  }
  return null;
}

function readOperation(
  { module, action, input, select }: Call,
  { kind, field }: Owned,
  schema: GraphQLSchema,
): Operation | OperationFault {
  const keyAt = kind === 'mutation' ? placeOfKey(field) : null;
  if (kind === 'mutation' && keyAt === null)
    return faultOf('UNKNOWN_OPERATION', `${action} takes no idempotency key: it cannot be repeated safely`);
  const used = new Set([...Object.keys(input), ...(keyAt === null ? [] : [keyAt[0]!])]);
  const args = field.args.filter(({ name }) => used.has(name));
  const declared = args.map(({ name, type }) => `$${name}: ${String(type)}`).join(', ');
  const passed = args.map(({ name }) => `${name}: $${name}`).join(', ');
  const named = getNamedType(field.type);
  const selection = isLeafType(named) ? '' : ` { ${select ?? selectionOf(named, 0)} }`;
  const document = `${kind} CoreStep${declared && `(${declared})`} { ${action}${passed && `(${passed})`}${selection} }`;
  let root: SelectionNode;
  try {
    const parsed = parse(document, { maxTokens: 2_000 });
    const [problem] = validate(schema, parsed);
    const operations = parsed.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
    const roots = operations.flatMap((node) => node.selectionSet.selections);
    if (problem || parsed.definitions.length !== 1 || roots.length !== 1)
      return faultOf('VALIDATION_FAILED', `select: ${problem?.message ?? 'expected one selection set'}`);
    root = roots[0]!;
  } catch (error) {
    return faultOf('VALIDATION_FAILED', `select: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { module, kind, field: action, document, keyAt, answers: (path) => answers(root, path, named) };
}

function placeOfKey(field: GraphQLField<unknown, unknown>): readonly string[] | null {
  for (const { name, type } of field.args) {
    if (name === 'idempotencyKey') return [name];
    const inner = getNullableType(type);
    if (isInputObjectType(inner) && inner.getFields()['idempotencyKey']) return [name, 'idempotencyKey'];
  }
  return null;
}

/** Plain fields of two levels, and ids on the third. */
function selectionOf(type: GraphQLNamedType, depth: number): string {
  if (!isObjectType(type)) return '__typename';
  const parts = Object.values(type.getFields()).flatMap((field) => {
    if (field.args.some((argument) => isNonNullType(argument.type) && argument.defaultValue === undefined)) return [];
    const named = getNamedType(field.type);
    if (isLeafType(named)) return depth < 2 || field.name === 'id' ? [field.name] : [];
    if (depth >= 2 || !isObjectType(named) || field.args.length > 0) return [];
    return [`${field.name} { ${selectionOf(named, depth + 1)} }`];
  });
  return parts.length === 0 ? '__typename' : parts.join(' ');
}

/** Follows a path through the selections; below a JSON value anything may be. */
function answers(root: SelectionNode, path: readonly string[], named: GraphQLNamedType): boolean {
  let node = root;
  let type = named;
  for (const name of path) {
    if (isLeafType(type)) return type.name === 'JSON';
    if (/^\d+$/.test(name)) continue;
    const selections = node.kind === Kind.FIELD ? (node.selectionSet?.selections ?? []) : [];
    const inner = selections.find(
      (selection) => selection.kind === Kind.FIELD && (selection.alias ?? selection.name).value === name,
    );
    if (!inner || inner.kind !== Kind.FIELD || !isObjectType(type)) return false;
    const field = type.getFields()[inner.name.value];
    if (!field) return inner.name.value === '__typename';
    node = inner;
    type = getNamedType(field.type);
  }
  return true;
}
