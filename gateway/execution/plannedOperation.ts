import type { PlanNode } from '@apollo/query-planner';
import {
  type ConstValueNode,
  type DocumentNode,
  type ExecutionResult,
  type GraphQLError,
  Kind,
  type OperationDefinitionNode,
  visit,
} from 'graphql';
import { compileVariables } from '#shared/execution/compiled/variables.ts';
import type { DirectOperation } from './direct.ts';
import { compilePlan, type PlanRun, type PlanSource } from './plan/runPlan.ts';
import { compileShape, NotShapeable, type Shape } from './plan/shape.ts';
import type { Planning } from './planning.ts';

/** Shapes of one operation that are kept: one for each combination of what `@skip` and `@include` go by. */
const maxShapes = 16;

export interface PlannedOptions {
  readonly planning: Pick<Planning, 'apiSchema' | 'supergraphSchema'>;
  readonly sources: ReadonlyMap<string, PlanSource>;
  readonly node: PlanNode;
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
}

/**
 * A query of several fetches, its plan and its answer compiled. ApolloGateway interprets both for each request: it builds
 * the operation's selections anew and walks them over every value. What this does not know, or finds to be other than the
 * schema says, ApolloGateway executes: a query may be asked again. Null for mutations, and for plans it does not know.
 */
export function compilePlanned<Context extends object>(options: PlannedOptions): DirectOperation<Context> | null {
  const { planning, document, operation } = options;
  if (operation.operation !== 'query') return null;
  const runPlan = compilePlan(options.node, { supergraphSchema: planning.supergraphSchema, sources: options.sources });
  if (runPlan === null) return null;
  const coerceVariables = compileVariables(planning.apiSchema, operation.variableDefinitions ?? []);
  const conditionNames = findConditions(document);
  const shapes = new Map<string, Shape>();
  let isRefused = false;

  function shapeFor(conditions: Readonly<Record<string, boolean>>): Shape {
    const key = conditionNames.map((name) => (conditions[name] ? 1 : 0)).join('');
    const known = shapes.get(key);
    if (known) return known;
    const shape = compileShape({ schema: planning.apiSchema, document, operation, conditions });
    if (shapes.size < maxShapes) shapes.set(key, shape);
    return shape;
  }

  async function run(given: PlanRun, shape: Shape): Promise<ExecutionResult | null> {
    await runPlan!(given);
    const { data, isFaulty } = shape(given.data);
    const { errors } = given;
    if (errors.length > 0) return { data, errors };
    return isFaulty ? null : { data };
  }

  return {
    operation,
    bypassesSources: false,
    execute(variables = {}, context) {
      if (isRefused) return null;
      const coerced = coerceVariables(variables);
      if (coerced.errors !== undefined) return null;
      const conditions: Record<string, boolean> = {};
      for (const name of conditionNames) {
        const value = coerced.coerced[name];
        if (typeof value !== 'boolean') return null;
        conditions[name] = value;
      }
      const refuse = (error: unknown): null => {
        if (!(error instanceof NotShapeable)) throw error;
        isRefused = true;
        return null;
      };
      try {
        const errors: GraphQLError[] = [];
        return run({ context, variables, conditions, data: {}, errors }, shapeFor(conditions)).catch(refuse);
      } catch (error) {
        return refuse(error);
      }
    },
  };
}

/** Variables that `@skip` and `@include` go by, anywhere in the document. */
function findConditions(document: DocumentNode): readonly string[] {
  const names = new Set<string>();
  visit(document, {
    Directive({ name, arguments: given = [] }) {
      if (name.value !== 'skip' && name.value !== 'include') return;
      const value = given[0]?.value as ConstValueNode | { kind: Kind.VARIABLE; name: { value: string } } | undefined;
      if (value?.kind === Kind.VARIABLE) names.add(value.name.value);
    },
  });
  return [...names];
}
