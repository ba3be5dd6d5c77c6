import { type ProtocolViolation, pointer, shown } from './violation.ts';

/** What bounds a document beyond its schema. */
export interface DocumentBounds {
  /** Nested objects and lists. @default 64 */
  maxDepth: number;
  /** Values of every kind, containers included. @default 1_000_000 */
  maxValues: number;
  /** UTF-8 bytes of one string or key. @default 262_144 */
  maxTextBytes: number;
}

export const defaultBounds: DocumentBounds = Object.freeze({
  maxDepth: 64,
  maxValues: 1_000_000,
  maxTextBytes: 256 * 1024,
});

export interface StorableReport {
  violations: ProtocolViolation[];
  /** True when the walk stopped early, so that nothing else may be asked of the value. */
  unbounded: boolean;
  /** Values visited. */
  values: number;
}

const maxReported = 100;
/** Paths repeat the client's keys, so their sum is bounded too. */
const maxReportedPathCharacters = 1_000_000;
const nulCharacter = String.fromCharCode(0);

/**
 * Walks a parsed JSON value and reports what no store can keep: NUL and lone surrogates (`format`, or `propertyNames`
 * for a key), text over its bound (`maxLength`), numbers beyond a double and non-JSON values (`type`), and values
 * nested or spread beyond the bounds (`maxDepth`, `maxValues`).
 */
export function inspectStorable(value: unknown, bounds: DocumentBounds = defaultBounds): StorableReport {
  const violations: ProtocolViolation[] = [];
  const steps: (string | number)[] = [];
  let values = 0;
  let unbounded = false;
  let pathCharacters = 0;

  const report = (keyword: string, message: string, property?: string): void => {
    if (violations.length >= maxReported || pathCharacters > maxReportedPathCharacters) return;
    const path = pointer(steps);
    pathCharacters += path.length;
    violations.push({ path, keyword, ...(property === undefined ? {} : { property }), message });
  };
  const stop = (keyword: string, message: string): void => {
    report(keyword, message);
    unbounded = true;
  };

  const visit = (node: unknown): void => {
    values += 1;
    if (values > bounds.maxValues) {
      stop('maxValues', `expected at most ${bounds.maxValues} values, got more`);
      return;
    }
    switch (typeof node) {
      case 'string': {
        const fault = textFault(node, bounds.maxTextBytes);
        if (fault) report(fault.keyword, fault.message);
        return;
      }
      case 'number':
        if (!Number.isFinite(node)) report('type', `expected a number within double precision, got ${node}`);
        return;
      case 'boolean':
        return;
      case 'object':
        if (node !== null) visitContainer(node);
        return;
      default:
        report('type', `expected a JSON value, got ${shown(node)}`);
    }
  };

  const visitContainer = (node: object): void => {
    if (steps.length >= bounds.maxDepth) {
      stop('maxDepth', `expected at most ${bounds.maxDepth} nested objects and lists, got more`);
      return;
    }
    if (Array.isArray(node)) {
      for (let index = 0; index < node.length && !unbounded; index += 1) {
        steps.push(index);
        visit(node[index]);
        steps.pop();
      }
      return;
    }
    for (const [key, child] of Object.entries(node)) {
      if (unbounded) return;
      const fault = textFault(key, bounds.maxTextBytes);
      if (fault) report('propertyNames', fault.message, key.slice(0, 200).toWellFormed());
      if (fault?.keyword === 'maxLength') {
        unbounded = true;
        return;
      }
      steps.push(key);
      visit(child);
      steps.pop();
    }
  };

  visit(value);
  return { violations, unbounded, values };
}

function textFault(text: string, maxBytes: number): { keyword: string; message: string } | null {
  // A UTF-16 unit takes at most three bytes of UTF-8: short text needs no count.
  if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes) {
    return {
      keyword: 'maxLength',
      message: `expected at most ${maxBytes} bytes of text, got ${Buffer.byteLength(text)}`,
    };
  }
  const nul = text.indexOf(nulCharacter);
  if (nul >= 0) return { keyword: 'format', message: `expected text without NUL, got one at ${nul}` };
  if (!text.isWellFormed()) return { keyword: 'format', message: 'expected well-formed Unicode, got a lone surrogate' };
  return null;
}
