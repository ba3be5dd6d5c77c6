/** Collects SQL conditions and their parameters. */
export interface Conditions {
  /** Adds a parameter and answers its placeholder. */
  param(value: unknown): string;
  /** Adds a condition. */
  add(condition: string): void;
  readonly parameters: unknown[];
  /** ` AND `-joined; `true` when there is none. */
  text(): string;
}

export function createConditions(): Conditions {
  const parameters: unknown[] = [];
  const conditions: string[] = [];
  return {
    parameters,
    param(value) {
      parameters.push(value);
      return `$${parameters.length}`;
    },
    add(condition) {
      conditions.push(condition);
    },
    text: () => (conditions.length === 0 ? 'true' : conditions.map((condition) => `(${condition})`).join(' AND ')),
  };
}

/** `*` stands for any text; everything else for itself. */
export function likePattern(pattern: string): string {
  return pattern.replace(/[\\%_]/g, '\\$&').replaceAll('*', '%');
}
