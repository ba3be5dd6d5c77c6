import type { Access } from './loaders.ts';
import type { DeliveryValue } from './rows.ts';

/** Whether the caller is shown how far a participant has read: its own always, the others' where the dialog tells. */
export function showsReading(access: Access | null, participantId: string): boolean {
  return access !== null && (access.dialog.configuration.readReceipts || access.participant?.id === participantId);
}

/** Deliveries as the caller may see them: where reading is not told, read looks like delivered. */
export function shownDeliveries(access: Access | null, deliveries: readonly DeliveryValue[]): readonly DeliveryValue[] {
  return deliveries.map((entry) =>
    entry.status === 'READ' && !showsReading(access, entry.participantId)
      ? { ...entry, status: 'DELIVERED', at: null }
      : entry,
  );
}
