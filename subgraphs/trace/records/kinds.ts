/** Types of the events by which a trace keeps what is recorded of it. */
export const recordTypes = {
  error: 'trace.error',
  decision: 'trace.decision',
  snapshot: 'trace.snapshot',
  correlation: 'trace.correlation',
  analysis: 'trace.analyzed',
} as const;

export const eventPhases = [
  'start',
  'progress',
  'checkpoint',
  'completion',
  'failure',
  'timeout',
  'interrupt',
] as const;
export type EventPhase = (typeof eventPhases)[number];

export const errorKinds = ['system', 'business', 'validation', 'network', 'timeout', 'security'] as const;
export type ErrorKind = (typeof errorKinds)[number];

export const recoveryActions = ['retry', 'fallback', 'escalate', 'ignore', 'abort'] as const;
export type RecoveryAction = (typeof recoveryActions)[number];

export const correlationKinds = ['causation', 'temporal', 'spatial', 'logical'] as const;
export type CorrelationKind = (typeof correlationKinds)[number];

const phases: readonly (readonly [RegExp, EventPhase])[] = [
  [/^(start|started|created|opened|begun|requested)$/, 'start'],
  [/^(progress|progressed|added|sent|claimed)$/, 'progress'],
  [/^(checkpoint|snapshot|saved|version)$/, 'checkpoint'],
  [/^(completion|completed|closed|ended|approved|resolved)$/, 'completion'],
  [/^(failure|failed|error|rejected|blocked)$/, 'failure'],
  [/^(timeout|expired|lapsed|overdue)$/, 'timeout'],
  [/^(interrupt|interrupted|paused|suspended|cancelled|revoked|deleted)$/, 'interrupt'],
];

/** What the last word of an event's type says of the course of things; null where it says nothing. */
export function phaseOf(type: string): EventPhase | null {
  const word = type.slice(type.lastIndexOf('.') + 1);
  return phases.find(([words]) => words.test(word))?.[1] ?? null;
}
