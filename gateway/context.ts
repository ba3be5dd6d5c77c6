import type { RequestScope } from '#shared/context.ts';

/** Apollo Server's contextValue: what the data sources need of a request. */
export interface GatewayContext {
  readonly scope: RequestScope;
}
