import type { ExportEntity } from '#shared/exports/exportEntity.ts';
import { viewerOf, visibleCondition } from './access.ts';

export const planExports: readonly ExportEntity[] = [
  {
    name: 'plans',
    requires: 'plan:read',
    from: 'plan.plan p',
    alias: 'p',
    keys: [['id', 'uuid']],
    columns: [
      ...['context_id', 'title', 'objective', 'status', 'type', 'priority', 'requires_approval', 'confirm_id'],
      ...['status_reason', 'replans', 'definition', 'summary', 'schedule', 'protocol', 'step_count', 'archived_at'],
      ...['version', 'created_at', 'created_by', 'updated_at', 'updated_by'],
    ],
    time: 'p.created_at',
    context: 'p.context_id',
    visible: (principal, { texts }) => {
      const viewer = viewerOf(principal);
      return viewer === null ? [] : [visibleCondition('p', texts(viewer))];
    },
  },
];
