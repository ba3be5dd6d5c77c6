import type { QueryNode } from './query.ts';
import { readQuoted } from './tsvector.ts';

/** Reads the text form of a tsquery: `'cat' & ( 'dog' | !'bird' )`. Words next to each other become `phrase`. */
export function parseTsquery(text: string): QueryNode {
  let at = 0;
  const skip = () => {
    while (text[at] === ' ') at += 1;
  };
  const take = (sign: string): boolean => {
    skip();
    if (text[at] !== sign) return false;
    at += 1;
    return true;
  };

  function list(kind: 'and' | 'or', sign: string, part: () => QueryNode): QueryNode {
    const nodes = [part()];
    while (take(sign)) nodes.push(part());
    return nodes.length === 1 ? nodes[0]! : { kind, nodes };
  }
  const or = (): QueryNode => list('or', '|', and);
  const and = (): QueryNode => list('and', '&', phrase);

  function phrase(): QueryNode {
    const first = factor();
    let adjacent = false;
    while (take('<')) {
      at = text.indexOf('>', at) + 1;
      factor();
      adjacent = true;
    }
    return adjacent ? { kind: 'phrase' } : first;
  }

  function factor(): QueryNode {
    if (take('!')) return { kind: 'not', node: factor() };
    if (take('(')) {
      const inner = or();
      if (!take(')')) throw new Error(`expected ) at ${at} of a tsquery`);
      return inner;
    }
    skip();
    if (text[at] !== "'") throw new Error(`expected a lexeme at ${at} of a tsquery`);
    const { value, end } = readQuoted(text, at);
    at = end;
    if (text[at] !== ':') return { kind: 'term', term: value };
    const labels = /^:[*A-D]*/.exec(text.slice(at))![0];
    at += labels.length;
    return { kind: labels.includes('*') ? 'prefix' : 'weighted' };
  }

  skip();
  if (at === text.length) return { kind: 'none' };
  const node = or();
  skip();
  if (at !== text.length) throw new Error(`expected the end of a tsquery at ${at}`);
  return node;
}
