import { type DocumentNode, type GraphQLSchema, parse, specifiedRules, type ValidationRule, validate } from 'graphql';

export interface ReadLimits {
  /** Tokens that a document may have. */
  readonly maxTokens: number;
  /** What it has to hold beside the rules of the specification. */
  readonly validationRules: readonly ValidationRule[];
}

/** The document of a text, null where it is none, does not fit the schema or is past the limits. @default no limits */
export function readValid(source: string, schema: GraphQLSchema, limits?: ReadLimits): DocumentNode | null {
  try {
    const document = parse(source, limits && { maxTokens: limits.maxTokens });
    const rules = limits === undefined ? specifiedRules : [...specifiedRules, ...limits.validationRules];
    return validate(schema, document, rules).length === 0 ? document : null;
  } catch {
    return null;
  }
}
