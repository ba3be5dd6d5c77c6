import type { ExportEntity } from '#shared/exports/exportEntity.ts';
import { viewerOf, visibleCondition } from './access.ts';

export const confirmExports: readonly ExportEntity[] = [
  {
    name: 'confirms',
    requires: 'confirm:read',
    from: 'confirm.confirm c',
    alias: 'c',
    keys: [['id', 'uuid']],
    columns: [
      ...['context_id', 'plan_id', 'target_type', 'target_id', 'status', 'phase', 'confirmation_type', 'title'],
      ...['description', 'priority', 'urgency', 'requested_by', 'requested_by_role', 'requested_at', 'reason'],
      ...['resolution', 'requester', 'subject', 'risk_assessment', 'impact', 'attachments', 'notifications'],
      ...['reference', 'template_id', 'template_version', 'workflow', 'steps', 'decision_count', 'governance'],
      ...['protocol', 'result', 'conditions', 'resubmission_of', 'attempt', 'expires_at', 'resolved_at', 'version'],
      ...['created_at', 'created_by', 'updated_at', 'updated_by'],
    ],
    time: 'c.created_at',
    context: 'c.context_id',
    visible: (principal, { texts }) => {
      const viewer = viewerOf(principal);
      return viewer === null ? [] : [visibleCondition('c', texts(viewer))];
    },
  },
];
