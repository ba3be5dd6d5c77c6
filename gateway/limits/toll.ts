import type { DocumentNode, OperationDefinitionNode } from 'graphql';
import type { Admission, Caller } from './admission.ts';
import type { Variables } from './cost.ts';
import type { Standing } from './rateLimiter.ts';

/** What one request pays, and where its caller stands afterwards. */
export interface Toll {
  /** Cost of the operation; null until one is known to run. */
  readonly cost: number | null;
  readonly maxCost: number;
  readonly standing: Standing | null;
  /**
   * Pays for what has to be done before the operation is known: parsing, validating, planning. Paid once.
   * @throws {RATE_LIMITED}
   */
  payEntry(): void | Promise<void>;
  /** Pays for what an answer goes on to cost. @throws {RATE_LIMITED} */
  payMore(units: number): void | Promise<void>;
  /** Pays for the operation, less what was paid before. @throws {QUERY_LIMIT_EXCEEDED} {RATE_LIMITED} */
  pay(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Variables | undefined,
  ): void | Promise<void>;
}

/** What an answer says of its cost, under `extensions`. */
export function costOf(toll: Toll | undefined): { readonly requested: number; readonly limit: number } | undefined {
  return toll === undefined || toll.cost === null ? undefined : { requested: toll.cost, limit: toll.maxCost };
}

/** What a document costs that nobody has sent before. */
const entryCost = 10;

export function createToll(admission: Admission, caller: Caller): Toll {
  let [cost, standing, paid]: [number | null, Standing | null, number] = [null, null, 0];
  const charge = (units: number): void | Promise<void> => {
    if (units <= 0) return;
    const charged = admission.charge(caller, units);
    if (!(charged instanceof Promise)) {
      standing = charged;
      return;
    }
    return charged.then((answer) => {
      standing = answer;
    });
  };
  return {
    get cost() {
      return cost;
    },
    maxCost: admission.maxCost,
    get standing() {
      return standing;
    },
    payEntry() {
      if (paid > 0) return;
      paid = entryCost;
      return charge(entryCost);
    },
    payMore: charge,
    pay(document, operation, variables) {
      cost = admission.costOf(document, operation, variables);
      const due = cost - paid;
      paid = Math.max(paid, cost);
      return charge(due);
    },
  };
}
