/** What is sent to everybody in the room. */
export interface RoomMessage {
  readonly id: string;
  readonly sequence: number;
  readonly author: string;
  readonly text: string;
  /** Epoch ms at which it was published. */
  readonly sentAt: number;
}

/** The hub follows streams by their UUID. */
export const room = '4f0c6f0e-5a2b-4c3d-8e9f-0a1b2c3d4e5f';

export const typeDefs = `
  type Query { room: ID! }
  type Subscription { messageAdded(room: ID!): RoomMessage! }
  type RoomMessage { id: ID! sequence: Int! author: String! text: String! sentAt: Float! }
`;

export const subscription =
  'subscription ($room: ID!) { messageAdded(room: $room) { id sequence author text sentAt } }';

export function messageOf(sequence: number, sentAt: number): RoomMessage {
  return {
    id: `message-${sequence}`,
    sequence,
    author: `writer-${sequence % 7}`,
    text: `Message no. ${sequence}: ${'nothing that matters, said at length; '.repeat(6)}`,
    sentAt,
  };
}

/** The frame's text as every server has to write it, for the operation `id`. */
export function nextMessage(id: string, messageAdded: RoomMessage): string {
  return JSON.stringify({ id, type: 'next', payload: { data: { messageAdded } } });
}
