import { GraphQLError } from 'graphql';

/**
 * What was thrown in the first place: an error goes through the executor of its subgraph and that of the gateway, each of
 * which wraps it, and errors of validation have no path and so keep what they were made of to themselves.
 */
export function rootOf(error: unknown): unknown {
  let root = error;
  while (root instanceof GraphQLError && root.originalError != null) root = root.originalError;
  return root;
}
