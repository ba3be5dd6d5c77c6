import { GraphQLError, type ValidationContext, type ValidationRule } from 'graphql';
import { PlatformError } from '#shared/errors.ts';
import { type DocumentSize, measureDocument } from './documentSize.ts';

/** Most of each measure that one operation may have. */
export type DocumentLimits = DocumentSize;

const nouns: Readonly<Record<keyof DocumentSize, string>> = {
  depth: 'levels of fields',
  aliases: 'aliases',
  rootFields: 'root fields',
  directives: 'directives',
};

/** A validation rule that refuses documents over the limits with QUERY_LIMIT_EXCEEDED, one error for each limit; some texts are exempt. */
export function createDocumentRule(
  limits: DocumentLimits,
  isExempt: (source: string) => boolean = () => false,
): ValidationRule {
  return (context: ValidationContext) => {
    const document = context.getDocument();
    if (document.loc && isExempt(document.loc.source.body)) return {};
    const size = measureDocument(document);
    for (const [name, noun] of Object.entries(nouns) as [keyof DocumentSize, string][]) {
      const [allowed, found] = [limits[name], size[name]];
      if (found > allowed) context.reportError(toGraphQLError(exceeded(name, noun, allowed, found)));
    }
    return {};
  };
}

/** QUERY_LIMIT_EXCEEDED with what was allowed and found, for whoever wrote the document. */
export function exceeded(limit: string, noun: string, allowed: number, found: number): PlatformError {
  return new PlatformError('QUERY_LIMIT_EXCEEDED', `expected at most ${allowed} ${noun}, got ${found}`, {
    details: { limit, allowed, found },
  });
}

export function toGraphQLError(error: PlatformError): GraphQLError {
  return new GraphQLError(error.message, {
    originalError: error,
    extensions: { ...error.extensions, http: { status: error.status } },
  });
}
