import { createHash, randomBytes } from 'node:crypto';

/** RFC 6455, 1.3. */
const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const maxHeadBytes = 16_384;

export interface HandshakeOptions {
  readonly url: URL;
  readonly protocol: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Handshake {
  readonly request: string;
  /**
   * Takes what the server has answered so far; the length of its head once that is whole, null before.
   * @throws {Error} when the server refuses, or does not prove that it speaks the protocol
   */
  read(answer: Buffer): number | null;
}

/** The opening handshake of a client (RFC 6455, 4.1), without extensions. */
export function createHandshake({ url, protocol, headers = {} }: HandshakeOptions): Handshake {
  const key = randomBytes(16).toString('base64');
  const accept = createHash('sha1').update(`${key}${acceptGuid}`).digest('base64');
  const lines = [
    `GET ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Protocol: ${protocol}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];

  function check(head: string): void {
    const [statusLine = '', ...fields] = head.split('\r\n');
    if (!statusLine.startsWith('HTTP/1.1 101'))
      throw new Error(`expected 101 Switching Protocols, got "${statusLine.slice(0, 100)}"`);
    const answered = new Map(
      fields.map((field) => {
        const colon = field.indexOf(':');
        return [field.slice(0, colon).trim().toLowerCase(), field.slice(colon + 1).trim()];
      }),
    );
    const expectField = (name: string, expected: string | undefined, actual = answered.get(name)): void => {
      if (actual !== expected) throw new Error(`expected the header ${name} to be ${expected}, got ${actual}`);
    };
    expectField('upgrade', 'websocket', answered.get('upgrade')?.toLowerCase());
    expectField('connection', 'upgrade', answered.get('connection')?.toLowerCase());
    expectField('sec-websocket-accept', accept);
    expectField('sec-websocket-protocol', protocol);
    expectField('sec-websocket-extensions', undefined);
  }

  return {
    request: `${lines.join('\r\n')}\r\n\r\n`,
    read(answer) {
      const end = answer.indexOf('\r\n\r\n');
      if (end < 0) {
        if (answer.length > maxHeadBytes) throw new Error(`expected a head of at most ${maxHeadBytes} bytes`);
        return null;
      }
      check(answer.toString('latin1', 0, end));
      return end + 4;
    },
  };
}
