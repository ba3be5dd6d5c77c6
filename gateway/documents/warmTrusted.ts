import { setImmediate } from 'node:timers/promises';
import { type GraphQLSchema, Kind } from 'graphql';
import type { Logger } from '#shared/telemetry.ts';
import type { TrustedDocuments } from '#shared/trustedDocuments.ts';
import type { KnownOperations } from '../execution/operations.ts';
import { readValid } from './readValid.ts';

export interface WarmOptions<Context> {
  readonly trusted: TrustedDocuments;
  readonly schema: GraphQLSchema;
  readonly operations: KnownOperations<Context>;
  readonly logger: Logger;
}

/** Plans and compiles trusted documents one after the other, so that nobody is the first to send them. */
export function warmTrusted<Context>({ trusted, schema, operations, logger }: WarmOptions<Context>): { stop(): void } {
  let stopped = false;
  const work = async () => {
    for (const source of trusted.sources) {
      await setImmediate();
      if (stopped) return;
      const document = readValid(source, schema);
      if (document === null) {
        logger.warn({ document: source.slice(0, 200) }, 'a trusted document does not fit the schema');
        continue;
      }
      operations.note(source, document);
      for (const node of document.definitions)
        if (node.kind === Kind.OPERATION_DEFINITION) operations.find(source, node.name?.value ?? null);
    }
  };
  work().catch((error: unknown) => logger.error({ error: String(error) }, 'trusted documents could not be warmed'));
  return {
    stop() {
      stopped = true;
    },
  };
}
