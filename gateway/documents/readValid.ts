import { type DocumentNode, type GraphQLSchema, parse, validate } from 'graphql';

/** The document of a text, null where it is none or does not fit the schema. */
export function readValid(source: string, schema: GraphQLSchema): DocumentNode | null {
  try {
    const document = parse(source);
    return validate(schema, document).length === 0 ? document : null;
  } catch {
    return null;
  }
}
