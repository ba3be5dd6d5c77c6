import type { RoomMessage } from './message.ts';

/** What the module of a server exports as the result of `start`. */
export interface FanOutServer {
  readonly port: number;
  /** Subscribers of the room. */
  readonly subscribers: number;
  /** Hands messages that came at the same moment to all subscribers. */
  publish(messages: readonly RoomMessage[]): void;
  close(): Promise<void>;
}

export type StartFanOut = () => Promise<FanOutServer>;
