/** A point of another module's work at which extensions are heard. */
export interface HookPoint {
  readonly point: string;
  readonly phases: readonly ('before' | 'after')[];
  /** Module whose events tell that it has happened, and their types. */
  readonly module: 'context' | 'plan' | 'role' | 'trace' | 'dialog' | 'confirm';
  readonly events: readonly string[];
}

/**
 * The points the alpha documentation names, and those of the other modules beside them. Before a point somebody asks
 * (`runExtensionHooks`); after it the module's own event is followed.
 */
export const hookPoints: readonly HookPoint[] = [
  { point: 'plan.before_execution', phases: ['before'], module: 'plan', events: [] },
  {
    point: 'plan.execution_completed',
    phases: ['after'],
    module: 'plan',
    events: ['plan.execution.completed', 'plan.execution.failed'],
  },
  {
    point: 'context.participant_joined',
    phases: ['before', 'after'],
    module: 'context',
    events: ['context.participant.joined'],
  },
  { point: 'role.before_assignment', phases: ['before'], module: 'role', events: [] },
  { point: 'trace.metrics_collected', phases: ['after'], module: 'trace', events: ['trace.metrics.recorded'] },
  {
    point: 'dialog.message_sent',
    phases: ['before', 'after'],
    module: 'dialog',
    events: ['dialog.message.sent'],
  },
  { point: 'confirm.resolved', phases: ['after'], module: 'confirm', events: ['confirm.resolved'] },
];
