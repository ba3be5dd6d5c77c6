import { createTestDatabase } from '../../../support/database.ts';
import { createEventTable } from './eventTable.ts';

export type { EventTable } from './eventTable.ts';

/** The event table in a database of the test's own. */
export async function createTestEventTable() {
  const database = await createTestDatabase();
  return createEventTable({ url: database.url, close: () => database.drop() });
}
