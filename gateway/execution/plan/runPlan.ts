import type { GraphQLDataSource } from '@apollo/gateway';
import type { FetchNode, PlanNode } from '@apollo/query-planner';
import {
  type DocumentNode,
  type GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  GraphQLError as RequestError,
} from 'graphql';
import type { FetchReport } from '../fetchHooks.ts';
import { asGatewayError, type ErrorPath, placesAt } from './errorPaths.ts';
import { type JsonObject, mergeInto } from './merge.ts';
import {
  type BuildRepresentation,
  compileRepresentation,
  compileRepresentationKey,
  type RepresentationKey,
} from './representations.ts';

export type PlanSource = GraphQLDataSource<Record<string, unknown>>;

/** One run of a plan: what has come so far. */
export interface PlanRun {
  readonly context: object;
  /** As the client sent them. */
  readonly variables: Readonly<Record<string, unknown>>;
  /** Values of the variables that parts of the plan hang on. */
  readonly conditions: Readonly<Record<string, boolean>>;
  readonly data: JsonObject;
  readonly errors: GraphQLError[];
}

/** The objects that a fetch is about. */
interface Place {
  readonly path: ErrorPath;
  readonly objects: readonly JsonObject[];
}

type Step = (run: PlanRun, place: Place) => Promise<void>;

/** Runs a plan to its end, whatever becomes of its fetches. */
export type RunPlan = (run: PlanRun) => Promise<void>;

/** GraphQLDataSourceRequestKind.INCOMING_OPERATION, which @apollo/gateway exports only as a type. */
export const incomingOperation: FetchReport['kind'] = 'incoming operation';

export interface CompilePlanOptions {
  readonly supergraphSchema: GraphQLSchema;
  readonly sources: ReadonlyMap<string, PlanSource>;
}

/**
 * Compiles a query plan: the same fetches in the same order as ApolloGateway makes them, except that an entity which
 * stands in several places of an answer is asked for once. Null for plans that hold what this does not know.
 */
export function compilePlan(node: PlanNode, options: CompilePlanOptions): RunPlan | null {
  const step = compileNode(node, options);
  return step && ((run) => step(run, { path: [], objects: [run.data] }));
}

function compileNode(node: PlanNode, options: CompilePlanOptions): Step | null {
  switch (node.kind) {
    case 'Sequence':
      return compileAll(node.nodes, options, (steps) => async (run, place) => {
        for (const step of steps) await step(run, place);
      });
    case 'Parallel':
      return compileAll(node.nodes, options, (steps) => async (run, place) => {
        await Promise.all(steps.map((step) => step(run, place)));
      });
    case 'Flatten': {
      const inner = compileNode(node.node, options);
      const { path } = node;
      return (
        inner &&
        (async (run, place) => {
          const objects = objectsAt(place.objects, path);
          if (objects.length > 0) await inner(run, { path: [...place.path, ...path], objects });
        })
      );
    }
    case 'Condition': {
      const { condition, ifClause, elseClause } = node;
      const [whenTrue, whenFalse] = [ifClause, elseClause].map((each) => each && compileNode(each, options));
      if (whenTrue === null || whenFalse === null) return null;
      return async (run, place) => (run.conditions[condition] ? whenTrue : whenFalse)?.(run, place);
    }
    case 'Fetch':
      return compileFetch(node, options);
    case 'Defer':
      return null;
  }
}

function compileAll(
  nodes: readonly PlanNode[],
  options: CompilePlanOptions,
  join: (steps: readonly Step[]) => Step,
): Step | null {
  const steps = nodes.map((node) => compileNode(node, options));
  return steps.every((step) => step !== null) ? join(steps) : null;
}

/** What the objects hold at a path, without what is missing. */
function objectsAt(objects: readonly JsonObject[], path: ErrorPath): readonly JsonObject[] {
  let found: readonly unknown[] = objects;
  for (const part of path) {
    const next: unknown[] = [];
    for (const value of found) {
      if (value === null || value === undefined) continue;
      if (part !== '@') {
        if (Object.hasOwn(value, part)) next.push((value as Record<string | number, unknown>)[part]);
      } else for (const each of value as readonly unknown[]) next.push(each);
    }
    found = next;
  }
  return found.filter((value) => value !== null && value !== undefined) as JsonObject[];
}

interface Representing {
  readonly build: BuildRepresentation;
  readonly keyOf: RepresentationKey;
}

/** Representations to ask for, each once, and which objects they are of. */
interface Asked {
  readonly representations: JsonObject[];
  /** By representation: the objects. */
  readonly objects: JsonObject[][];
  /** By representation: where its objects stand among all that were represented. */
  readonly indices: number[][];
}

function represent(objects: readonly JsonObject[], { build, keyOf }: Representing): Asked {
  const asked: Asked = { representations: [], objects: [], indices: [] };
  const known = new Map<string, number>();
  let count = 0;
  for (const object of objects) {
    let key = keyOf(object);
    let at = key === null ? undefined : known.get(key);
    if (at === undefined) {
      const representation = build(object);
      if (!representation?.['__typename']) continue;
      // JSON begins as no key of the other kind does.
      key ??= JSON.stringify(representation);
      at = known.get(key) ?? asked.representations.length;
      if (at === asked.representations.length) {
        known.set(key, at);
        asked.representations.push(representation);
        asked.objects.push([]);
        asked.indices.push([]);
      }
    }
    asked.objects[at]!.push(object);
    asked.indices[at]!.push(count);
    count += 1;
  }
  return asked;
}

function compileFetch(fetch: FetchNode, { supergraphSchema, sources }: CompilePlanOptions): Step | null {
  const source = sources.get(fetch.serviceName);
  // Renamed keys and types of interface objects: none of ours, and rare.
  if (!source || fetch.inputRewrites?.length || fetch.outputRewrites?.length || fetch.contextRewrites?.length)
    return null;
  const { serviceName, operation: query, operationName, variableUsages = [] } = fetch;
  const document: DocumentNode | undefined = fetch.operationDocumentNode;
  const representing = fetch.requires && {
    build: compileRepresentation(supergraphSchema, fetch.requires),
    keyOf: compileRepresentationKey(supergraphSchema, fetch.requires),
  };

  async function send(run: PlanRun, place: Place, asked: Asked | null): Promise<JsonObject | null | undefined> {
    const variables: JsonObject = {};
    for (const name of variableUsages) {
      const value = Object.hasOwn(run.variables, name) ? run.variables[name] : undefined;
      if (value !== undefined) variables[name] = value;
    }
    if (asked !== null) variables['representations'] = asked.representations;
    const answer = await source!.process({
      kind: incomingOperation,
      request: { query, variables, ...(operationName === undefined ? {} : { operationName }) },
      incomingRequestContext: { request: {} },
      context: run.context,
      ...(document === undefined ? {} : { document }),
      pathInIncomingRequest: place.path,
    } as unknown as Parameters<PlanSource['process']>[0]);
    for (const error of answer.errors ?? []) noteError(error, run, place, asked);
    return answer.data;
  }

  /** One that is about an entity counts in every place the entity stands in. */
  function noteError(error: GraphQLFormattedError, run: PlanRun, place: Place, asked: Asked | null): void {
    const { message, path, extensions } = error;
    const original =
      error instanceof RequestError ? error : new RequestError(message, { ...(extensions ? { extensions } : {}) });
    const note = (at: ErrorPath | undefined) => run.errors.push(asGatewayError(original, serviceName, at));
    const index = path?.[1];
    if (asked === null || typeof index !== 'number') {
      note(path && [...place.path, ...path]);
      return;
    }
    const places = placesAt(run.data, place.path);
    for (const each of asked.indices[index] ?? []) note([...(places[each] ?? []), ...path!.slice(2)]);
  }

  async function fetchEntities(run: PlanRun, place: Place, how: Representing): Promise<void> {
    const asked = represent(place.objects, how);
    const { representations } = asked;
    if (representations.length === 0) return;
    const data = await send(run, place, asked);
    if (!data) return;
    const entities: unknown = data['_entities'];
    if (!Array.isArray(entities)) throw new Error('Expected "data._entities" in response to be an array');
    if (entities.length !== representations.length)
      throw new Error(`Expected "data._entities" to contain ${representations.length} elements`);
    for (const [at, entity] of (entities as readonly (JsonObject | null)[]).entries()) {
      if (entity === null || entity === undefined) continue;
      for (const object of asked.objects[at]!) mergeInto(object, entity);
    }
  }

  return async (run, place) => {
    try {
      if (representing) return await fetchEntities(run, place, representing);
      const data = await send(run, place, null);
      if (data) for (const object of place.objects) mergeInto(object, data);
    } catch (error) {
      run.errors.push(
        error instanceof RequestError
          ? error
          : new RequestError(String((error as Error).message), { originalError: error as Error }),
      );
    }
  };
}
