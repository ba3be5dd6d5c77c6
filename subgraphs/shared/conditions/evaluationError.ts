/** A condition that could not be decided. The decision it belongs to is a denial with reason `evaluation_error`. */
export class EvaluationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'EvaluationError';
  }
}

/** A condition that makes no sense as written: found when it is compiled, never when it is asked. */
export class ConditionError extends Error {
  /** Offset in the expression, in UTF-16 units; undefined where the fault is not in an expression. */
  readonly position: number | undefined;

  constructor(message: string, position?: number) {
    super(position === undefined ? message : `${message} at ${position}`);
    this.name = 'ConditionError';
    this.position = position;
  }
}
