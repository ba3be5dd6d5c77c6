import type { Config } from '#shared/config.ts';
import { noTrustedDocuments, readTrustedDocuments } from '#shared/trustedDocuments.ts';
import { fileDocument } from '../files.ts';
import { importDocuments } from '../imports/importers.ts';
import { createDocumentRule } from '../limits/documentRule.ts';
import { otlpDocument } from '../otlp.ts';

/** Which documents are executed here, and the rule that bounds those that nobody has trusted. */
export async function openDocumentAdmission(config: Config) {
  const trusted = config.TRUSTED_DOCUMENTS_FILE
    ? await readTrustedDocuments(config.TRUSTED_DOCUMENTS_FILE)
    : noTrustedDocuments;
  const isAdmitted = (source: string): boolean =>
    !config.TRUSTED_DOCUMENTS_ONLY ||
    trusted.has(source) ||
    source === otlpDocument ||
    source === fileDocument ||
    importDocuments.has(source);
  const documentRule = createDocumentRule(
    {
      depth: config.MAX_QUERY_DEPTH,
      aliases: config.MAX_QUERY_ALIASES,
      rootFields: config.MAX_QUERY_ROOT_FIELDS,
      directives: config.MAX_QUERY_DIRECTIVES,
    },
    trusted.has,
  );
  return { trusted, isAdmitted, documentRule };
}
