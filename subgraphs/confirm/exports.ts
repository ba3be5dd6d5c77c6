import { viewerOf } from '#shared/contextPrivacy.ts';
import type { ExportEntity } from '#shared/exports/exportEntity.ts';

/**
 * This module hears whether a context is private but not who takes part in it: of private contexts, and of those not
 * heard of, who does not administer contexts gets what it asked for itself.
 */
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
    visible: (principal, { text, texts }) => {
      const viewer = viewerOf(principal);
      if (viewer === null) return [];
      const [, admin, ...except] = viewer;
      const listed = `c.context_id::text = ANY(${texts(except)})`;
      const administered = admin === 'everywhere' ? `NOT ${listed}` : listed;
      return [
        `(c.context_id IS NULL OR c.requested_by = ${text(principal.subject)} OR ${administered}
          OR EXISTS (SELECT 1 FROM confirm.replica heard WHERE heard.tenant_id = c.tenant_id AND heard.type = 'Context'
            AND heard.id = c.context_id AND heard.detail->>'isPrivate' = 'false'))`,
      ];
    },
  },
];
