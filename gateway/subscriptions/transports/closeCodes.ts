/**
 * Codes this server closes a WebSocket with, beside those of graphql-ws (4400, 4401, 4403, 4406, 4408, 4409, 4429, 4500).
 * Clients of graphql-ws reconnect after the first two; they would not after 4429.
 */
export const closeCodes = {
  /** The server goes away; subscribe again with the last cursor. */
  goingAway: 1001,
  /** The client read too slowly; the reason names the cursor to resume from. */
  slowConsumer: 4290,
  /** The token is missing, wrong or has expired. */
  forbidden: 4403,
  /** The address has spent its rate; clients of graphql-ws do not come back by themselves. */
  rateLimited: 4429,
  internal: 4500,
} as const;

/** Longest close reason RFC 6455 allows, in bytes. */
export const maxReasonBytes = 123;
