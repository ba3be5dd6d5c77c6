import { type Batcher, createBatcher } from '#shared/batch.ts';
import type { Sql } from '#shared/sql.ts';
import type { DialogConfigurationValue, DialogParticipantRow, DialogRecord } from '../rows.ts';

/** What decides what a subject may read of a dialog, and no more of either row. */
export interface Standing {
  readonly dialog: Pick<DialogRecord, 'tenantId' | 'id' | 'createdBy' | 'keptFrom'> & {
    readonly configuration: Pick<DialogConfigurationValue, 'visibility' | 'showHistory'>;
  };
  readonly participant: Pick<DialogParticipantRow, 'id' | 'status' | 'permissions' | 'spans'> | null;
}

export interface StandingKey {
  readonly tenantId: string;
  readonly dialogId: string;
  readonly subject: string;
}

interface StandingRow {
  ord: number;
  createdBy: string;
  keptFrom: number;
  visibility: DialogConfigurationValue['visibility'];
  showHistory: boolean;
  participantId: string | null;
  status: DialogParticipantRow['status'];
  permissions: DialogParticipantRow['permissions'];
  spans: DialogParticipantRow['spans'];
}

const standingText = `
SELECT k.ord::int, d.created_by AS "createdBy", d.kept_from AS "keptFrom", d.configuration->>'visibility' AS visibility,
  (d.configuration->>'showHistory')::boolean AS "showHistory", p.id AS "participantId", p.status, p.permissions, p.spans
FROM unnest($1::text[], $2::uuid[], $3::text[]) WITH ORDINALITY AS k(tenant_id, id, subject, ord)
JOIN dialog.dialog d USING (tenant_id, id)
LEFT JOIN dialog.participant p ON p.tenant_id = d.tenant_id AND p.dialog_id = d.id AND p.identity = k.subject`;

export type StandingReader = Pick<Batcher<StandingKey, Standing | null>, 'add'>;

/** Reads how subjects stand to dialogs; what concurrent requests ask for shares a statement. Null: no such dialog. */
export function createStandingReader(sql: Sql): StandingReader {
  return createBatcher<StandingKey, Standing | null>({
    maxItems: 200,
    maxDelayMs: 0,
    maxRuns: 2,
    async run(keys) {
      const rows = (await sql.unsafe(
        standingText,
        [keys.map((key) => key.tenantId), keys.map((key) => key.dialogId), keys.map((key) => key.subject)],
        { prepare: true },
      )) as unknown as StandingRow[];
      const standings = new Array<Standing | null>(keys.length).fill(null);
      for (const row of rows) {
        const { tenantId, dialogId } = keys[row.ord - 1]!;
        const { createdBy, keptFrom, visibility, showHistory, participantId, status, permissions, spans } = row;
        standings[row.ord - 1] = {
          dialog: { tenantId, id: dialogId, createdBy, keptFrom, configuration: { visibility, showHistory } },
          participant: participantId === null ? null : { id: participantId, status, permissions, spans },
        };
      }
      return standings;
    },
  });
}
