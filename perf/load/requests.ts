import type { GraphqlCall, HttpCall } from './workload.ts';

export interface RequestTarget {
  readonly host: string;
  readonly port: number;
  /** Path of the GraphQL endpoint. */
  readonly path: string;
}

const noHeaders: Readonly<Record<string, string>> = {};

/** Builds the bytes of requests; what repeats (query text, headers) is built once. */
export function createRequestWriter(target: RequestTarget): (call: GraphqlCall | HttpCall) => string {
  const heads = new WeakMap<object, string>();
  const queries = new Map<string, string>();

  function headerLines(headers: Readonly<Record<string, string>>): string {
    const known = heads.get(headers);
    if (known !== undefined) return known;
    let lines = `host: ${target.host}:${target.port}\r\n`;
    for (const [name, value] of Object.entries(headers)) {
      if (/[\r\n]/.test(name + value)) throw new Error(`expected a header on one line, got ${JSON.stringify(name)}`);
      lines += `${name}: ${value}\r\n`;
    }
    heads.set(headers, lines);
    return lines;
  }

  function graphqlBody(call: GraphqlCall): string {
    let start = queries.get(call.query);
    if (start === undefined) {
      start = `{"query":${JSON.stringify(call.query)}`;
      queries.set(call.query, start);
    }
    const name = call.operationName === undefined ? '' : `,"operationName":${JSON.stringify(call.operationName)}`;
    const variables = call.variables === undefined ? '' : `,"variables":${JSON.stringify(call.variables)}`;
    return `${start}${name}${variables}}`;
  }

  return (call) => {
    const lines = headerLines(call.headers ?? noHeaders);
    if ('path' in call) {
      if (call.body === undefined) return `${call.method} ${call.path} HTTP/1.1\r\n${lines}\r\n`;
      return `${call.method} ${call.path} HTTP/1.1\r\n${lines}content-length: ${Buffer.byteLength(call.body)}\r\n\r\n${call.body}`;
    }
    const body = graphqlBody(call);
    return `POST ${target.path} HTTP/1.1\r\n${lines}content-type: application/json\r\naccept: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  };
}
