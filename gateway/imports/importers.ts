import { type ErrorCode, errorTable, PlatformError } from '#shared/errors.ts';

/** What became of one line; null when it is stored, now or before. */
export type LineOutcome = { readonly code: string; readonly message: string } | null;

/** How one kind of record is stored: a chunk of lines is one mutation, which the modules make one transaction of. */
export interface Importer {
  /** Lines of a chunk. */
  readonly chunkLines: number;
  readonly document: string;
  /** Fields that hold JSON where a record is a row of a table. */
  readonly jsonFields: ReadonlySet<string>;
  variables(values: readonly unknown[], key: string): Readonly<Record<string, unknown>>;
  /** Reads the answer: one outcome a line, in their order. @throws {PlatformError} where the whole was refused */
  outcomes(data: unknown, count: number): readonly LineOutcome[];
}

interface UserError {
  readonly code: string;
  readonly message: string;
}

const isCode = (code: string): code is ErrorCode => code in errorTable;

export function failureOf({ code, message }: UserError): PlatformError {
  return new PlatformError(isCode(code) ? code : 'INTERNAL_ERROR', message);
}

function requireWhole([error]: readonly UserError[] = []): void {
  if (error) throw failureOf(error);
}

const contexts: Importer = {
  chunkLines: 500,
  document: `mutation ImportContexts($inputs: [CreateContextInput!]!, $key: String!) {
    createContexts(inputs: $inputs, mode: PARTIAL, idempotencyKey: $key) {
      results { error { code message } } userErrors { code message }
    }
  }`,
  jsonFields: new Set([
    ...['root', 'tags', 'constraints', 'governance', 'configuration', 'accessControl', 'sharedState', 'customData'],
    'activate',
  ]),
  variables: (inputs, key) => ({ inputs, key }),
  outcomes(data, count) {
    const { results, userErrors } = (
      data as {
        createContexts: { results: readonly { readonly error: UserError | null }[] | null; userErrors: UserError[] };
      }
    ).createContexts;
    requireWhole(userErrors);
    return Array.from({ length: count }, (_, at) => results?.[at]?.error ?? null);
  },
};

const spans: Importer = {
  chunkLines: 1_000,
  document: `mutation ImportSpans($request: JSON!, $key: String!) {
    ingestOtlp(request: $request, idempotencyKey: $key) { rejected { index reason } userErrors { code message } }
  }`,
  jsonFields: new Set(['resource', 'kind', 'attributes', 'events', 'links', 'status']),
  // A line is an OTLP span, with the resource it is of beside its own fields.
  variables: (values, key) => ({
    request: {
      resourceSpans: values.map((value) => {
        const { resource, ...span } = value as { readonly resource?: unknown };
        return { ...(resource === undefined ? {} : { resource }), scopeSpans: [{ spans: [span] }] };
      }),
    },
    key,
  }),
  outcomes(data, count) {
    const { rejected, userErrors } = (
      data as {
        ingestOtlp: { rejected: readonly { index: number; reason: string }[] | null; userErrors: UserError[] };
      }
    ).ingestOtlp;
    requireWhole(userErrors);
    const reasons = new Map((rejected ?? []).map(({ index, reason }) => [index, reason]));
    return Array.from({ length: count }, (_, at) => {
      const reason = reasons.get(at);
      return reason === undefined ? null : { code: 'VALIDATION_FAILED', message: reason };
    });
  },
};

interface ObjectResult {
  readonly ok: boolean;
  readonly errors: readonly { readonly path: string; readonly message: string }[];
}

/** Frozen documents of any module; those that stand as they are come to the same. A chunk is stored whole or not at all. */
const objects: Importer = {
  chunkLines: 200,
  document: `mutation ImportObjects($objects: [ProtocolObjectInput!]!) {
    importProtocolBundle(objects: $objects) {
      ok results { ok errors { path message } } errors { path message }
    }
  }`,
  jsonFields: new Set(['object']),
  variables: (values) => ({ objects: values }),
  outcomes(data, count) {
    const { ok, results, errors } = (
      data as { importProtocolBundle: ObjectResult & { readonly results: readonly ObjectResult[] } }
    ).importProtocolBundle;
    const [whole] = errors;
    return Array.from({ length: count }, (_, at) => {
      if (ok) return null;
      const [error] = results[at]?.errors ?? [];
      if (error) return { code: 'VALIDATION_FAILED', message: `${error.path}: ${error.message}` };
      return {
        code: 'INVALID_STATE',
        message: whole?.message ?? 'not stored: other lines of its chunk are refused',
      };
    });
  },
};

/** By the path below `/v1/import/`. */
export const importers: ReadonlyMap<string, Importer> = new Map([
  ['context/contexts', contexts],
  ['trace/spans', spans],
  ['protocol/objects', objects],
]);

export const importDocuments: ReadonlySet<string> = new Set([...importers.values()].map(({ document }) => document));
