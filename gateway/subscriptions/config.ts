export interface HubConfig {
  /** Bytes that may wait for one client before its subscriptions are cut. @default 1 MiB */
  readonly maxBufferedBytes: number;
  /** Operations at once on one WebSocket, streams on one HTTP connection. @default 20 */
  readonly maxPerConnection: number;
  /** Subscriptions of one subject of a tenant at once, over all its connections to this instance. @default 200 */
  readonly maxPerSubject: number;
  /** Subscriptions this instance carries at once. @default 20_000 */
  readonly maxPerInstance: number;
  /** Time a WebSocket has to send `connection_init` before it is closed with 4408. @default 3_000 */
  readonly connectionInitTimeoutMs: number;
  /** Interval of WebSocket pings and SSE comments; a socket that misses one pong is dropped. @default 30_000 */
  readonly heartbeatMs: number;
  /** Interval of the empty objects that keep a multipart answer alive. @default 5_000 */
  readonly multipartHeartbeatMs: number;
  /** Largest WebSocket message or HTTP body. @default 64 KiB */
  readonly maxMessageBytes: number;
  /** Events read from the log at once. @default 256 */
  readonly replayPageSize: number;
  /** Events older than this are not replayed (RESUME_TOO_OLD). @default 7 days */
  readonly maxReplayAgeMs: number;
  /** Newest events of a followed stream kept in memory, so that reconnects need not read the log. @default 256 */
  readonly recentEvents: number;
  /** Bytes that those of all streams may take. @default 64 MiB */
  readonly recentBytes: number;
  /** How often stream heads are read while the bus is not connected. @default 50 */
  readonly pollIntervalMs: number;
  /** How often they are read while it is, for what it lost silently. @default 1_000 */
  readonly sweepIntervalMs: number;
  /** Time the fetches behind one event may take before it is sent with an error. @default 10_000 */
  readonly restTimeoutMs: number;
  /** Time a cut client has to empty its buffer before its connection is closed with 4290. @default 5_000 */
  readonly slowConsumerGraceMs: number;
  /** Tokens a document may have. @default 1_000 */
  readonly maxDocumentTokens: number;
  /** Operations whose parsed, validated and planned form is kept. @default 500 */
  readonly operationCacheSize: number;
}

export const defaultHubConfig: HubConfig = Object.freeze({
  maxBufferedBytes: 1024 * 1024,
  maxPerConnection: 20,
  maxPerSubject: 200,
  maxPerInstance: 20_000,
  connectionInitTimeoutMs: 3_000,
  heartbeatMs: 30_000,
  multipartHeartbeatMs: 5_000,
  maxMessageBytes: 64 * 1024,
  replayPageSize: 256,
  maxReplayAgeMs: 7 * 24 * 60 * 60 * 1000,
  recentEvents: 256,
  recentBytes: 64 * 1024 * 1024,
  pollIntervalMs: 50,
  sweepIntervalMs: 1_000,
  restTimeoutMs: 10_000,
  slowConsumerGraceMs: 5_000,
  maxDocumentTokens: 1_000,
  operationCacheSize: 500,
});
