/** UTF-16 units of a pattern. */
const maxLength = 200;
/** Repetitions from which a count is as good as unbounded. */
const manyTimes = 50;
/** Ways that counted repetitions may be made, where the rest is linear and where it is quadratic in the text. */
const mostWays = { linear: 10_000, quadratic: 100 };

/**
 * Why a regular expression is refused; null where its work on a text of n characters is n squared at most, times a hundred.
 * Backtracking is bounded by form: no look-around, no back-references, nothing repeated that repeats or chooses inside,
 * one long repetition, two where the pattern is anchored at the start, and few ways to make the counted ones.
 */
export function patternProblem(pattern: string): string | null {
  if (pattern.length > maxLength) return `expected at most ${maxLength} characters in a pattern`;
  try {
    new RegExp(pattern, 'u');
  } catch {
    return 'expected a regular expression';
  }
  return findStructureProblem(pattern);
}

/** What a group holds that may not be repeated. */
interface Group {
  repeats: boolean;
  chooses: boolean;
}

function findStructureProblem(pattern: string): string | null {
  const groups: Group[] = [{ repeats: false, chooses: false }];
  let [long, ways] = [0, 1];
  /** The group that ended just now, else null. */
  let ended: Group | null = null;
  for (let at = 0; at < pattern.length; ) {
    const rest = pattern.slice(at);
    const open = groups.at(-1)!;
    const quantifier = /^(?:[*+?]|\{(\d+)(,)?(\d+)?\})\??/.exec(rest);
    if (quantifier) {
      const [sign, least, comma, most] = quantifier;
      const highest = sign.startsWith('{')
        ? comma === undefined
          ? Number(least)
          : most === undefined
            ? Number.POSITIVE_INFINITY
            : Number(most)
        : sign.startsWith('?')
          ? 1
          : Number.POSITIVE_INFINITY;
      if (highest > 1 && ended !== null && (ended.repeats || ended.chooses))
        return 'expected nothing repeated that repeats or chooses inside';
      const lowest = sign.startsWith('{') ? Number(least) : sign.startsWith('+') ? 1 : 0;
      // What may stand or not is a choice for whoever repeats it.
      open.repeats = true;
      if (highest > manyTimes) long += 1;
      else ways *= 1 + highest - lowest;
      ended = null;
      at += sign.length;
      continue;
    }
    ended = null;
    if (/^\\(?:[1-9]|k<)/.test(rest)) return 'expected no back-reference';
    if (rest.startsWith('\\'))
      at += /^\\(?:[pP]\{[^}]*\}|u\{[^}]*\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)/su.exec(rest)![0].length;
    else if (rest.startsWith('[')) at += /^\[(?:\\.|[^\]\\])*\]/su.exec(rest)![0].length;
    else if (/^\(\?(?:=|!|<=|<!)/.test(rest)) return 'expected no look-around';
    else if (rest.startsWith('(')) {
      groups.push({ repeats: false, chooses: false });
      at += /^\((?:\?:|\?<[^>]*>)?/.exec(rest)![0].length;
    } else if (rest.startsWith(')')) {
      ended = groups.pop()!;
      const outer = groups.at(-1)!;
      outer.repeats ||= ended.repeats;
      outer.chooses ||= ended.chooses;
      at += 1;
    } else {
      if (rest.startsWith('|')) open.chooses = true;
      at += 1;
    }
  }
  const degree = long + (pattern.startsWith('^') && !groups[0]!.chooses ? 0 : 1);
  if (degree > 2) return 'expected one long repetition, or two after ^';
  const most = degree === 2 ? mostWays.quadratic : mostWays.linear;
  return ways > most ? `expected at most ${most} ways to make the counted repetitions, got ${ways}` : null;
}
