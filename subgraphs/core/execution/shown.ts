import type { CoreStepExecutionRow } from '../rows.ts';

/** Status of a step as the graph tells it: while it is undone its inner states are one. */
export function shownStatus({ status, phase }: Pick<CoreStepExecutionRow, 'status' | 'phase'>) {
  const undoing = phase !== 'forward' && ['ready', 'running', 'retry_wait', 'waiting'].includes(status);
  return undoing ? ('COMPENSATING' as const) : (status.toUpperCase() as Uppercase<typeof status>);
}
