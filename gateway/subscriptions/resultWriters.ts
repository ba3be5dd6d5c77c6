import { LRUCache } from 'lru-cache';
import type { CompiledSubscription } from './operation.ts';
import type { SubscriptionPlanner } from './planner.ts';
import { compileResultWriter, type WriteResult } from './resultWriter.ts';
import type { Variables } from './selection.ts';

/** Selections of one operation, by its conditions, that are kept compiled. */
const maxSelections = 16;

/** Writers of results, one for all groups of an operation that select the same: what is compiled and warm serves them all. */
export function createResultWriters(planner: Pick<SubscriptionPlanner, 'apiSchema' | 'keyOf'>) {
  const byOperation = new WeakMap<CompiledSubscription, LRUCache<string, WriteResult>>();

  return {
    of(subscription: CompiledSubscription, variables: Variables): WriteResult {
      let writers = byOperation.get(subscription);
      if (writers === undefined) {
        writers = new LRUCache({ max: maxSelections });
        byOperation.set(subscription, writers);
      }
      const conditions = JSON.stringify(subscription.conditionVariables.map((name) => variables[name]));
      let writer = writers.get(conditions);
      if (writer === undefined) {
        const { document, operation, plan } = subscription;
        writer = compileResultWriter({
          schema: planner.apiSchema,
          document,
          operation,
          variables,
          canFetch: (typeName, source) => planner.keyOf(plan.primary.serviceName, typeName, source) !== undefined,
        });
        writers.set(conditions, writer);
      }
      return writer;
    },
  };
}

export type ResultWriters = ReturnType<typeof createResultWriters>;
