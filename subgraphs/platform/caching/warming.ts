import { type DocumentNode, Kind, OperationTypeNode, parse } from 'graphql';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { noTrustedDocuments, readTrustedDocuments, type TrustedDocuments } from '#shared/trustedDocuments.ts';
import type { Warming } from './inputs.ts';

export interface WarmFailure {
  readonly index: number;
  readonly code: string;
  readonly message: string;
}

export interface Warmed {
  readonly asked: number;
  readonly warmed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly failures: readonly WarmFailure[];
}

const maxConcurrent = 4;
const maxFailures = 10;

/** Fills the caches by asking as somebody would: what the caller may not see is not cached either. */
export function createWarming({ config, graph }: ModuleRuntime) {
  let trusted: Promise<TrustedDocuments> | undefined;
  const readTrusted = () => {
    trusted ??= config.TRUSTED_DOCUMENTS_FILE
      ? readTrustedDocuments(config.TRUSTED_DOCUMENTS_FILE)
      : Promise.resolve(noTrustedDocuments);
    return trusted;
  };

  /** @throws {NOT_FOUND} {VALIDATION_FAILED} where it is no single query. */
  async function requireQuery(id: string): Promise<string> {
    const source = (await readTrusted()).find(id);
    if (source === undefined)
      throw new PlatformError('NOT_FOUND', 'no trusted document has this id', { path: ['input', 'document'] });
    if (!isQuery(parse(source)))
      throw new PlatformError('VALIDATION_FAILED', 'input.document: expected one with one query and nothing else', {
        path: ['input', 'document'],
      });
    return source;
  }

  return {
    async warm({ principal, signal }: RequestScope, { document, sets }: Warming): Promise<Warmed> {
      const source = await requireQuery(document);
      const failures: WarmFailure[] = [];
      let asked = 0;
      let failed = 0;

      async function ask(index: number): Promise<void> {
        asked += 1;
        try {
          const { errors } = await (graph.warm ?? graph.execute)(source, sets[index]!, principal, signal);
          const [first] = errors;
          if (first) failures.push({ index, code: first.code, message: first.message });
          failed += first ? 1 : 0;
        } catch {
          // The gateway is in another process, and does not answer.
          failures.push({ index, code: 'UNAVAILABLE', message: 'the graph did not answer' });
          failed += 1;
        }
      }
      let next = 0;
      async function work(): Promise<void> {
        while (next < sets.length && !signal?.aborted) {
          const index = next;
          next += 1;
          await ask(index);
        }
      }
      await Promise.all(Array.from({ length: maxConcurrent }, work));
      return {
        ...{ asked, failed, warmed: asked - failed, cancelled: sets.length - asked },
        failures: failures.toSorted((one, two) => one.index - two.index).slice(0, maxFailures),
      };
    },
  };
}

function isQuery(document: DocumentNode): boolean {
  const operations = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  const [only] = operations;
  return (
    operations.length === 1 && only?.kind === Kind.OPERATION_DEFINITION && only.operation === OperationTypeNode.QUERY
  );
}
