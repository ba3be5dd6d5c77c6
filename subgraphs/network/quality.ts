import type { NetworkConnectionRow, PathMetrics } from './rows.ts';
import { waitingStatuses } from './waiting.ts';

/**
 * 0 to 100: the mean over what was asked for of the room left, 1 - value / limit (of reliability the share of the way from
 * the limit to 1), or 100 where nothing was; halved while the connection is degraded, 0 while it waits for a way and once it has failed.
 */
export function qualityOf(
  { requirements, status }: Pick<NetworkConnectionRow, 'requirements' | 'status'>,
  metrics: PathMetrics,
): number {
  if (status === 'failed' || waitingStatuses.includes(status)) return 0;
  const { latencyMaxMs, jitterMaxMs, packetLossMax, reliability } = requirements;
  const room = (value: number, limit: number) =>
    limit > 0 ? Math.min(1, Math.max(0, 1 - value / limit)) : Number(value <= limit);
  const rooms = [
    ...(latencyMaxMs == null ? [] : [room(metrics.latencyMs, latencyMaxMs)]),
    ...(jitterMaxMs == null ? [] : [room(metrics.jitterMs, jitterMaxMs)]),
    ...(packetLossMax == null ? [] : [room(metrics.lossRate, packetLossMax)]),
    ...(reliability == null ? [] : [room(1 - metrics.reliability, 1 - reliability)]),
  ];
  const mean = rooms.length === 0 ? 1 : rooms.reduce((sum, value) => sum + value, 0) / rooms.length;
  return 100 * mean * (status === 'degraded' ? 0.5 : 1);
}
