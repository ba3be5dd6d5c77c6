import { type GraphQLSchema, isAbstractType, Kind, parse, TypeInfo, visit, visitWithTypeInfo } from 'graphql';
import type { Answer } from './comparison.ts';
import type { GeneratedOperation } from './generateOperation.ts';

export interface Coverage {
  readonly counts: Map<string, number>;
  add(operation: GeneratedOperation, answer: Answer, fetches: readonly string[]): void;
}

/** Counts what the operations really exercise: each feature once per operation. */
export function createCoverage(schema: GraphQLSchema): Coverage {
  const counts = new Map<string, number>();
  return {
    counts,
    add(operation, answer, fetches) {
      const seen = new Set<string>([
        ...featuresOfDocument(schema, operation),
        ...featuresOfAnswer(answer),
        ...featuresOfFetches(fetches),
      ]);
      for (const feature of seen) counts.set(feature, (counts.get(feature) ?? 0) + 1);
    },
  };
}

function featuresOfDocument(schema: GraphQLSchema, { text, variables }: GeneratedOperation): string[] {
  const features: string[] = [];
  const types = new TypeInfo(schema);
  let fragmentDepth = 0;
  visit(
    parse(text),
    visitWithTypeInfo(types, {
      OperationDefinition: (node) => void features.push(node.operation),
      VariableDefinition(node) {
        if (node.defaultValue)
          features.push(Object.hasOwn(variables, node.variable.name.value) ? 'default overridden' : 'default used');
        else if (!Object.hasOwn(variables, node.variable.name.value)) features.push('variable left out');
      },
      FragmentSpread: () => void features.push('fragment spread'),
      InlineFragment: {
        enter(node) {
          features.push(node.typeCondition ? 'inline fragment' : 'inline fragment without type');
          if (fragmentDepth > 0) features.push('nested fragment');
          const type = node.typeCondition && schema.getType(node.typeCondition.name.value);
          if (isAbstractType(type)) features.push('fragment on abstract type');
          fragmentDepth += 1;
        },
        leave() {
          fragmentDepth -= 1;
        },
      },
      Field(node) {
        if (node.alias) features.push(node.name.value === '__typename' ? 'alias of __typename' : 'alias');
        if (node.name.value === '__typename') features.push('__typename');
        if (node.arguments?.some(({ value }) => value.kind === Kind.OBJECT)) features.push('input object literal');
      },
      SelectionSet(node) {
        const names = node.selections.flatMap((selection) =>
          selection.kind === Kind.FIELD ? [selection.alias?.value ?? selection.name.value] : [],
        );
        if (new Set(names).size < names.length) features.push('merged duplicate');
      },
      Directive: (node) =>
        void features.push(
          `@${node.name.value} ${node.arguments?.[0]?.value.kind === Kind.VARIABLE ? 'variable' : 'literal'}`,
        ),
    }),
  );
  return features;
}

function featuresOfAnswer({ data, errors, extensions, log }: Answer): string[] {
  const features: string[] = [];
  if (data === null) features.push('data nulled');
  if (errors.length === 0 && data !== null) features.push('clean answer');
  if (extensions !== undefined) features.push('value completion');
  if (log.length > 2) features.push('several side effects');
  for (const error of errors as { message: string; path?: (string | number)[]; extensions?: { code?: string } }[]) {
    features.push(`code ${error.extensions?.code ?? 'none'}`);
    if (error.message.startsWith('Cannot return null')) features.push('null propagated');
    if (error.message.includes('cannot represent')) features.push('scalar refused');
    if (error.path?.some((key) => typeof key === 'number')) features.push('error in a list');
    if (/was returned as an error/.test(error.message)) features.push('error returned');
    if (/was rejected/.test(error.message)) features.push('error rejected');
  }
  return features;
}

function featuresOfFetches(fetches: readonly string[]): string[] {
  const features = [`fetches ${Math.min(fetches.length, 4)}`];
  if (fetches.some((text) => text.includes('_entities'))) features.push('entity fetch');
  if (new Set(fetches.map((text) => text.split('\n', 1)[0])).size > 1) features.push('several subgraphs');
  return features;
}
