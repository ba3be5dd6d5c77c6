import type { ErasureRules } from '#shared/erasure/rules.ts';
import { searchVector } from './store/messages.ts';

const wroteIn = (dialogId: string) =>
  `${dialogId} IN (SELECT m.dialog_id FROM dialog.message m WHERE m.tenant_id = $1 AND m.sender_subject = $2)`;

/** What was made of messages goes with their texts. */
export const dialogErasure: ErasureRules = {
  derived: [
    {
      table: 'message_analysis',
      where: `EXISTS (SELECT 1 FROM dialog.message m WHERE m.tenant_id = $1 AND m.id = t.message_id AND m.sender_subject = $2)`,
      withContent: true,
    },
    { table: 'summary', where: wroteIn('t.dialog_id'), withContent: true },
  ],
  search: { message: searchVector },
};
