/** Beside messages to explicit recipients: those whose deliveries are followed one by one. */
export function followsDelivery(requiresResponse: boolean, priority: string): boolean {
  return requiresResponse || priority === 'URGENT';
}
