import type { ExportEntity } from '#shared/exports/exportEntity.ts';
import { administeredCondition, seesEverything, viewerKeys, visibleCondition } from './access.ts';

export const contextExports: readonly ExportEntity[] = [
  {
    name: 'contexts',
    requires: 'context:read',
    from: 'context.context c',
    alias: 'c',
    keys: [
      ['created_at', 'timestamptz'],
      ['id', 'uuid'],
    ],
    // Without what admits to it (the hash of its join token) and what is derived.
    columns: [
      ...['title', 'status', 'root', 'domain', 'environment', 'summary', 'tags', 'language', 'owner_role'],
      ...[
        'constraints',
        'governance',
        'protocol',
        'type',
        'lifecycle_stage',
        'owner_id',
        'owner_type',
        'configuration',
      ],
      ...['access_control', 'priority', 'category', 'custom_data', 'version', 'participant_count', 'session_count'],
      ...['last_activity_at', 'expires_at', 'close_reason', 'closed_at', 'created_by', 'updated_at', 'updated_by'],
    ],
    time: 'c.created_at',
    context: 'c.id',
    visible: (principal, { uuids, text, texts }) => [
      'c.deleted_at IS NULL',
      ...(seesEverything(principal)
        ? []
        : [
            `(${administeredCondition('c', principal, uuids)} OR ${visibleCondition('c', { subject: text(principal.subject), keys: texts(viewerKeys(principal)) })})`,
          ]),
    ],
  },
];
