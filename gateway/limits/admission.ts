import type { DocumentNode, GraphQLSchema, OperationDefinitionNode } from 'graphql';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { addressKey } from './clientAddress.ts';
import { compileCost, type OperationCost, type Variables } from './cost.ts';
import { exceeded } from './documentRule.ts';
import type { RateLimiter, Standing } from './rateLimiter.ts';

/** Who sent a request from outside. */
export interface Caller {
  readonly principal: Principal;
  readonly address: string;
}

export interface AdmissionOptions {
  readonly schema: GraphQLSchema;
  /** Most that one operation may cost; looked at for each. */
  readonly maxCost: number;
}

export interface Limiters {
  readonly subject: RateLimiter;
  readonly address: RateLimiter;
}

export interface Admission {
  readonly maxCost: number;
  /** @throws {QUERY_LIMIT_EXCEEDED} when it is over the cost of one operation. */
  costOf(document: DocumentNode, operation: OperationDefinitionNode, variables: Variables | undefined): number;
  /**
   * Charges both buckets of a caller and answers with the fuller one's standing, or null when nothing is counted.
   * @throws {RATE_LIMITED} with the time until the window ends.
   */
  charge(caller: Caller, cost: number): Standing | null | Promise<Standing>;
  /** Charges an address before anybody is known by it; with 0 it is only asked whether there is anything left. @throws {RATE_LIMITED} */
  chargeAddress(address: string, cost: number): void | Promise<void>;
}

/** Decides by cost whether an operation may run, and how much of a subject's and an address's rate it takes; without limiters nothing is counted. */
export function createAdmission(options: AdmissionOptions, limiters: Limiters | null): Admission {
  const compiled = new WeakMap<OperationDefinitionNode, OperationCost>();

  return {
    get maxCost() {
      return options.maxCost;
    },
    costOf(document, operation, variables) {
      const cost = compiled.get(operation) ?? compileCost(options.schema, document, operation);
      compiled.set(operation, cost);
      const found = cost.of(variables);
      const { maxCost } = options;
      if (found > maxCost) throw exceeded('cost', 'units of cost', maxCost, found);
      return found;
    },
    charge({ principal, address }, cost) {
      if (limiters === null) return null;
      const ofAddress = limiters.address.take(addressKey(address), cost);
      const ofSubject = limiters.subject.take(JSON.stringify([principal.tenantId, principal.subject]), cost);
      if (!(ofAddress instanceof Promise) && !(ofSubject instanceof Promise)) return nearest(ofSubject, ofAddress);
      return Promise.all([ofSubject, ofAddress]).then(([subject, peer]) => nearest(subject, peer));
    },
    chargeAddress(address, cost) {
      const standing = limiters?.address.take(addressKey(address), cost);
      if (standing instanceof Promise) return standing.then(requireAllowed);
      return standing && requireAllowed(standing);
    },
  };
}

function nearest(subject: Standing, address: Standing): Standing {
  requireAllowed(subject);
  requireAllowed(address);
  return address.remaining < subject.remaining ? address : subject;
}

function requireAllowed(standing: Standing): void {
  if (standing.allowed) return;
  throw new RateLimited(standing);
}

/** RATE_LIMITED with what its headers say. */
export class RateLimited extends PlatformError {
  readonly standing: Standing;

  constructor(standing: Standing) {
    super(
      'RATE_LIMITED',
      `expected at most ${standing.limit} units of cost in a window; it ends in ${standing.resetMs} ms`,
      {
        retryAfterMs: standing.resetMs,
      },
    );
    this.standing = standing;
  }
}

/** Headers of an answer; `retry-after` where it was refused. */
export function rateLimitHeaders(standing: Standing): Readonly<Record<string, string>> {
  const seconds = String(Math.ceil(standing.resetMs / 1000));
  return {
    'x-ratelimit-limit': String(standing.limit),
    'x-ratelimit-remaining': String(standing.remaining),
    'x-ratelimit-reset': seconds,
    ...(standing.allowed ? {} : { 'retry-after': seconds }),
  };
}
