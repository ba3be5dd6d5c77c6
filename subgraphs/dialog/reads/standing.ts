import { createKeyedReader } from '#shared/keyedReader.ts';
import type { Sql } from '#shared/sql.ts';
import type { DialogConfigurationValue, DialogParticipantRow, DialogRecord } from '../rows.ts';

/** What decides what a subject may read of a dialog, and no more of either row. */
export interface Standing {
  readonly dialog: Pick<DialogRecord, 'tenantId' | 'id' | 'contextId' | 'createdBy' | 'keptFrom'> & {
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
  contextId: string;
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
SELECT k.ord::int, d.context_id AS "contextId", d.created_by AS "createdBy", d.kept_from AS "keptFrom", d.configuration->>'visibility' AS visibility,
  (d.configuration->>'showHistory')::boolean AS "showHistory", p.id AS "participantId", p.status, p.permissions, p.spans
FROM unnest($1::text[], $2::uuid[], $3::text[]) WITH ORDINALITY AS k(tenant_id, id, subject, ord)
JOIN dialog.dialog d USING (tenant_id, id)
LEFT JOIN dialog.participant p ON p.tenant_id = d.tenant_id AND p.dialog_id = d.id AND p.identity = k.subject`;

export interface StandingReader {
  add(key: StandingKey): Promise<Standing | null>;
}

/** Reads how subjects stand to dialogs, for concurrent requests together. Null: no such dialog. */
export function createStandingReader(sql: Sql): StandingReader {
  const reader = createKeyedReader<StandingKey, StandingRow>(sql, {
    text: standingText,
    parametersOf: (keys) => [
      keys.map((key) => key.tenantId),
      keys.map((key) => key.dialogId),
      keys.map((key) => key.subject),
    ],
  });
  return {
    async add(key) {
      const row = await reader.add(key);
      if (!row) return null;
      const { contextId, createdBy, keptFrom, visibility, showHistory, participantId, status, permissions, spans } =
        row;
      return {
        dialog: {
          tenantId: key.tenantId,
          id: key.dialogId,
          createdBy,
          contextId,
          keptFrom,
          configuration: { visibility, showHistory },
        },
        participant: participantId === null ? null : { id: participantId, status, permissions, spans },
      };
    },
  };
}
