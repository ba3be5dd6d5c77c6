const whitespace = /[ \t\n\r]/;

function endOfString(text: string, start: number): number {
  let index = start + 1;
  while (text[index] !== '"') index += text[index] === '\\' ? 2 : 1;
  return index;
}

/** True when an object anywhere in this (valid) JSON names a member twice, escapes resolved. */
function repeatsMember(text: string): boolean {
  const open: (Set<string> | null)[] = [];
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(null);
    else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      const start = index;
      index = endOfString(text, start);
      let next = index + 1;
      while (whitespace.test(text[next] ?? '')) next += 1;
      // In valid JSON only a member's name is followed by a colon.
      if (text[next] !== ':') continue;
      const members = open.at(-1);
      const name: unknown = JSON.parse(text.slice(start, index + 1));
      if (!members || typeof name !== 'string') continue;
      if (members.has(name)) return true;
      members.add(name);
    }
  }
  return false;
}

/**
 * Parses JSON whose objects name no member twice: two readers of a repeated claim could each believe another value.
 * @throws {SyntaxError} when the text is not JSON or repeats a member.
 */
export function parseUniqueJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (repeatsMember(text)) throw new SyntaxError('expected each member once');
  return value;
}
