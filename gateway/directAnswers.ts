import { type ExecutionResult, type GraphQLFormattedError, OperationTypeNode } from 'graphql';
import { createConsistencyToken } from '#shared/cache/consistencyToken.ts';
import type { Logger, Metrics } from '#shared/telemetry.ts';
import { noteOperation, tellDenied } from './apollo.ts';
import type { AuditedAccess } from './auth/auditedAccess.ts';
import type { GatewayContext } from './context.ts';
import type { Deadlines } from './deadlines.ts';
import { createErrorFormatter } from './errors.ts';
import type { DirectOperation } from './execution/direct.ts';
import { costOf, type Toll } from './limits/toll.ts';

export interface DirectAnswer {
  /** The whole body, as Apollo Server would write it. */
  readonly body: string;
  /** `data` as it stands in the body when nothing stands beside it, else null. */
  readonly data: string | null;
  readonly consistencyToken: string | null;
}

export interface DirectResult {
  readonly data: ExecutionResult['data'];
  /** As clients are told of them. */
  readonly errors: readonly GraphQLFormattedError[] | undefined;
}

export interface DirectAnswers {
  /** What `answer` makes a body of. */
  execute(
    operation: DirectOperation<GatewayContext>,
    variables: Readonly<Record<string, unknown>> | undefined,
    context: GatewayContext,
  ): Promise<DirectResult | null>;
  /** Null where Apollo Server has to answer: it says what is wrong with variables, the gateway what it cannot reach. */
  answer(
    operation: DirectOperation<GatewayContext>,
    variables: Readonly<Record<string, unknown>> | undefined,
    context: GatewayContext,
  ): Promise<DirectAnswer | null>;
}

/** The end of a body after its `data`, to the last byte. */
export function afterData(toll: Toll | undefined, consistencyToken: string | null = null): string {
  const cost = costOf(toll);
  if (cost === undefined && consistencyToken === null) return '}\n';
  return `,"extensions":${JSON.stringify({ cost, ...(consistencyToken === null ? {} : { consistencyToken }) })}}\n`;
}

/** Turns the results of direct operations into bodies: errors formatted and ordered as Apollo Server does. */
export function createDirectAnswers(options: {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly deadlines: Deadlines;
  /** Told of what was refused to whoever asked. @default nobody is */
  readonly onDenied?: AuditedAccess['denied'] | undefined;
}): DirectAnswers {
  const { logger, metrics, deadlines, onDenied } = options;
  const formatError = createErrorFormatter(logger);
  const execute: DirectAnswers['execute'] = async (operation, variables, context) => {
    const beganMs = performance.now();
    const result: ExecutionResult | null = await (operation.operation.operation === OperationTypeNode.QUERY
      ? deadlines.within(context, () => operation.execute(variables, context))
      : operation.execute(variables, context));
    if (result === null) {
      context.declined = true;
      return null;
    }
    const errors = result.errors?.map(
      (error): GraphQLFormattedError => formatError(error.toJSON(), error, context.scope.correlationId),
    );
    const tookMs = performance.now() - beganMs;
    noteOperation(metrics, { operation: operation.operation, errors, tookMs, context });
    if (onDenied && errors !== undefined)
      tellDenied(onDenied, { errors, operation: operation.operation, scope: context.scope });
    return { data: result.data, errors };
  };
  return {
    execute,
    async answer(operation, variables, context) {
      const result = await execute(operation, variables, context);
      if (result === null) return null;
      const { errors } = result;
      const { written } = context.scope;
      const consistencyToken = written.length > 0 ? createConsistencyToken(written) : null;
      const data = JSON.stringify(result.data);
      if (errors === undefined && consistencyToken === null)
        return { body: `{"data":${data}${afterData(context.toll)}`, data, consistencyToken };
      const before = errors === undefined ? '' : `"errors":${JSON.stringify(errors)},`;
      const body = `{${before}"data":${data}${afterData(context.toll, consistencyToken)}`;
      return { body, data: null, consistencyToken };
    },
  };
}
