export type ToServer =
  | { readonly type: 'start'; readonly module: string }
  | { readonly type: 'await'; readonly subscribers: number }
  /** `bursts` of `size` messages, one every `everyMs`. */
  | { readonly type: 'publish'; readonly bursts: number; readonly size: number; readonly everyMs: number };

export type FromServer =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'subscribed' }
  | { readonly type: 'published' }
  | { readonly type: 'failed'; readonly message: string };

export interface ClientsSpec {
  readonly url: string;
  readonly sockets: number;
}

export type ToClients =
  | { readonly type: 'open'; readonly spec: ClientsSpec }
  /** Every socket has got messages up to this sequence: answer then. */
  | { readonly type: 'expect'; readonly sequence: number };

export type FromClients =
  | { readonly type: 'opened' }
  | { readonly type: 'received'; readonly p50Ms: number; readonly p99Ms: number; readonly cpuMs: number }
  | { readonly type: 'failed'; readonly message: string };
