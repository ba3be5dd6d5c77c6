import type { Cancellation } from '#shared/cancellation.ts';
import type { RequestScope } from '#shared/context.ts';
import type { Toll } from './limits/toll.ts';
import type { Outcome } from './outcome.ts';

/** Apollo Server's contextValue: what the data sources need of a request. */
export interface GatewayContext {
  readonly scope: RequestScope;
  /** Of what a query asks the database. */
  readonly cancellation: Cancellation;
  /** Whoever asks from outside pays for it; what modules ask on somebody's behalf is free. */
  readonly toll?: Toll;
  /** Set where the direct execution left the request to the gateway: it is not tried again. */
  declined?: boolean;
  /** When the time of its query is over, by `performance.now()`; undefined until it runs. */
  dueMs?: number;
  /** How its operation ended; whoever answers the client counts it. An object: Apollo Server copies the context. */
  readonly ended: { outcome?: Outcome };
}
