/**
 * Whether the script must run statement by statement as it stands, because PostgreSQL refuses it inside a transaction or
 * because it opens transactions itself. Words inside comments, strings and function bodies do not count.
 */
export function runsOutsideTransaction(script: string): boolean {
  return /\b(concurrently|commit|rollback|vacuum|start\s+transaction|begin\s*(;|transaction|work)|create\s+database|drop\s+database|alter\s+system)\b|\bbegin\s*;/i.test(
    withoutText(script),
  );
}

/** The line (from 1) of a character offset as PostgreSQL reports it (from 1, in code points). */
export function lineOf(script: string, position: number): number {
  let line = 1;
  let index = 1;
  for (const character of script) {
    if (index >= position) break;
    if (character === '\n') line += 1;
    index += 1;
  }
  return line;
}

/** Blanks comments (nested ones too), quoted text, quoted names and dollar-quoted bodies. */
function withoutText(script: string): string {
  let out = '';
  let rest = script;
  while (rest.length > 0) {
    const length = textLength(rest);
    if (length > 0) {
      out += ' ';
      rest = rest.slice(length);
    } else {
      // Everything up to the next character that could open a text or comment stays as it is.
      const plain = /^([\w\s]+|.)/su.exec(rest)?.[0] ?? rest[0]!;
      out += plain;
      rest = rest.slice(plain.length);
    }
  }
  return out;
}

/** Length of the comment or quoted text that starts here, 0 when none does. */
function textLength(rest: string): number {
  if (rest.startsWith('--')) return endOf(rest, rest.indexOf('\n'), 1);
  if (rest.startsWith('/*')) return commentLength(rest);
  const quoted = /^(?:'(?:[^']|'')*'|"(?:[^"]|"")*")/.exec(rest);
  if (quoted !== null) return quoted[0].length;
  const tag = /^\$(?:[a-z_]\w*)?\$/i.exec(rest)?.[0];
  return tag === undefined ? 0 : endOf(rest, rest.indexOf(tag, tag.length), tag.length);
}

function commentLength(rest: string): number {
  let depth = 0;
  for (const match of rest.matchAll(/\/\*|\*\//g)) {
    depth += match[0] === '/*' ? 1 : -1;
    if (depth === 0) return match.index + 2;
  }
  return rest.length;
}

function endOf(rest: string, at: number, length: number): number {
  return at < 0 ? rest.length : at + length;
}
