import {
  type ASTNode,
  type ExecutionResult,
  type GraphQLSchema,
  Kind,
  parse,
  print,
  type SelectionNode,
  validate,
  visit,
} from 'graphql';
import type { FixtureContext } from './fixtures/row.ts';
import type { GatewayRig } from './gatewayRig.ts';
import type { GeneratedOperation } from './generateOperation.ts';

export interface Answer {
  readonly data: unknown;
  readonly errors: readonly unknown[];
  readonly extensions: unknown;
  /** Side effects of mutations, in their order. */
  readonly log: readonly string[];
}

/** The whole answer as a client would read it, and what the resolvers did. */
export async function answerOf(rig: GatewayRig, operation: GeneratedOperation): Promise<Answer> {
  const context: FixtureContext = { caller: 'tester', log: [] };
  const result: ExecutionResult = await rig.execute(operation, context);
  const { data, errors, extensions } = JSON.parse(JSON.stringify(result)) as {
    data?: unknown;
    errors?: unknown[];
    extensions?: unknown;
  };
  return { data, errors: errors ?? [], extensions, log: context.log };
}

/**
 * Errors as a set: the specification gives them no order, and fetches that run side by side finish in any. Within one
 * fetch the order is compared elsewhere.
 */
export function sortErrors(answer: Answer): Answer {
  return { ...answer, errors: [...answer.errors].map((error) => JSON.stringify(error)).sort() };
}

/**
 * Errors by the null they led to. Of several errors below one null, an execution reports those it met before the null
 * was settled (GraphQL specification, "Handling Field Errors"): which ones depends on the order of the fields.
 */
function errorsByNull({ data, errors }: Answer): ReadonlyMap<string, ReadonlySet<string>> {
  const byNull = new Map<string, Set<string>>();
  for (const error of errors as readonly { readonly path?: readonly (string | number)[] }[]) {
    const path = error.path ?? [];
    let at: unknown = data;
    let depth = 0;
    while (at !== null && at !== undefined && depth < path.length) {
      at = (at as Record<string | number, unknown>)[path[depth]!];
      depth += 1;
    }
    const position = JSON.stringify(path.slice(0, depth));
    byNull.set(position, (byNull.get(position) ?? new Set()).add(JSON.stringify(error)));
  }
  return byNull;
}

/** True for answers that differ at most in which of several errors below one null they tell. */
export function isEquivalent(one: Answer, other: Answer): boolean {
  const [left, right] = [errorsByNull(one), errorsByNull(other)];
  return (
    JSON.stringify({ ...one, errors: [] }) === JSON.stringify({ ...other, errors: [] }) &&
    left.size === right.size &&
    [...left].every(([position, errors]) => [...errors].some((error) => right.get(position)?.has(error)))
  );
}

/** Removes selections as long as the operation stays valid and still differs. */
export async function shrink(
  schema: GraphQLSchema,
  operation: GeneratedOperation,
  differs: (operation: GeneratedOperation) => Promise<boolean>,
): Promise<GeneratedOperation> {
  let current = operation;
  for (let progress = true; progress; ) {
    progress = false;
    for (let index = 0; ; index += 1) {
      const candidate = without(current, index);
      if (candidate === null) break;
      if (isValid(schema, candidate.text) && (await differs(candidate))) {
        current = candidate;
        progress = true;
        index -= 1;
      }
    }
  }
  return current;
}

/** False as well where taking away the only selection has left an empty set. */
function isValid(schema: GraphQLSchema, text: string): boolean {
  try {
    return validate(schema, parse(text)).length === 0;
  } catch {
    return false;
  }
}

/** The operation without its selection of this number, and without the fragments and variables nobody uses then. */
function without(operation: GeneratedOperation, index: number): GeneratedOperation | null {
  let seen = -1;
  const isSelection = (node: ASTNode): node is SelectionNode =>
    node.kind === Kind.FIELD || node.kind === Kind.INLINE_FRAGMENT || node.kind === Kind.FRAGMENT_SPREAD;
  const document = visit(parse(operation.text), {
    enter(node) {
      if (!isSelection(node)) return undefined;
      seen += 1;
      return seen === index ? null : undefined;
    },
  });
  if (seen < index) return null;
  const spread = new Set<string>();
  visit(document, { FragmentSpread: (node) => void spread.add(node.name.value) });
  const kept = {
    ...document,
    definitions: document.definitions.filter(
      (node) => node.kind !== Kind.FRAGMENT_DEFINITION || spread.has(node.name.value),
    ),
  };
  const used = new Set<string>();
  visit(kept, { VariableDefinition: () => false, Variable: (node) => void used.add(node.name.value) });
  const declared = visit(kept, { VariableDefinition: (node) => (used.has(node.variable.name.value) ? false : null) });
  const text = print(declared);
  return {
    text,
    variables: Object.fromEntries(Object.entries(operation.variables).filter(([name]) => used.has(name))),
  };
}
