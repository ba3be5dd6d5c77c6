import { GraphQLError } from 'graphql';

export type ErrorPath = readonly (string | number)[];

/** An error of a subgraph as ApolloGateway passes it on. */
export function asGatewayError(error: GraphQLError, subgraph: string, path = error.path): GraphQLError {
  const { extensions } = error;
  return new GraphQLError(error.message || `Error while fetching subquery from service "${subgraph}"`, {
    originalError: error,
    ...(path === undefined ? {} : { path }),
    extensions: {
      ...extensions,
      serviceName: subgraph,
      code: extensions?.['code'] ?? 'DOWNSTREAM_SERVICE_ERROR',
    },
  });
}

/** Every place that a path of a plan leads to, `@` being each entry of a list. */
export function placesAt(data: unknown, path: ErrorPath): ErrorPath[] {
  const places: ErrorPath[] = [];
  function visit(value: unknown, at: number, place: ErrorPath): void {
    if (value === null || value === undefined) return;
    const head = path[at];
    if (head === undefined) {
      places.push(place);
      return;
    }
    if (Array.isArray(value)) {
      for (const [index, each] of value.entries()) visit(each, head === '@' ? at + 1 : at, [...place, index]);
      return;
    }
    if (Object.hasOwn(value as object, head))
      visit((value as Record<string | number, unknown>)[head], at + 1, [...place, head]);
  }
  visit(data, 0, []);
  return places;
}
