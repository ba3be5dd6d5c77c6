import type { NewEvent } from '#shared/outbox.ts';
import type { ExtensionRow } from './rows.ts';

/** Tags of an extension and of the lists it stands in. */
export const extensionTags = ({ id, contextId }: Pick<ExtensionRow, 'id' | 'contextId'>): readonly string[] => [
  `Extension:${id}`,
  'extensions',
  `Context:${contextId}:extensions`,
];

/** Something that happened to an extension, in its own stream, with the whole row. */
export function extensionEvent(
  type: string,
  extension: ExtensionRow,
  more: Readonly<Record<string, unknown>> = {},
): NewEvent {
  return { streamId: extension.id, type, data: { extension, ...more }, tags: extensionTags(extension) };
}

/** Asks people; the confirm module opens a Confirm for it. */
export function approvalRequest(
  extension: ExtensionRow,
  approval: {
    readonly kind: 'extension.release' | 'extension.widen';
    readonly title: string;
    readonly reason: string | null;
    readonly requestedBy: string;
    readonly requestedByRole: string;
    readonly approvers: readonly string[];
    readonly approverRoles: readonly string[];
    readonly releaseId: string | null;
  },
): NewEvent {
  const { kind, releaseId, ...asked } = approval;
  return {
    streamId: extension.id,
    type: 'approval.requested',
    data: {
      approval: {
        targetType: 'extension',
        targetId: extension.id,
        contextId: extension.contextId,
        confirmationType: 'security_approval',
        ...asked,
        reference: { kind, extensionId: extension.id, releaseId },
      },
    },
    tags: [],
  };
}
