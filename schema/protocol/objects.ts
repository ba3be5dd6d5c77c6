import { type CollabDocument, collabShape } from './collab.ts';
import type { ProtocolModule } from './common.ts';
import { type ConfirmDocument, confirmShape } from './confirm.ts';
import { type ContextDocument, contextShape } from './context.ts';
import { type CoreDocument, coreShape } from './core.ts';
import { type DialogDocument, dialogShape } from './dialog.ts';
import { type ExtensionDocument, extensionShape } from './extension.ts';
import { type NetworkDocument, networkShape } from './network.ts';
import { type PlanDocument, planShape } from './plan.ts';
import { type RoleDocument, roleShape } from './role.ts';
import type { Shape } from './shape.ts';
import { type TraceDocument, traceShape } from './trace.ts';

/** The document type of each module. */
export interface ProtocolDocuments {
  context: ContextDocument;
  plan: PlanDocument;
  role: RoleDocument;
  confirm: ConfirmDocument;
  trace: TraceDocument;
  extension: ExtensionDocument;
  dialog: DialogDocument;
  collab: CollabDocument;
  network: NetworkDocument;
  core: CoreDocument;
}

/** The shape of each module's object. */
export const protocolShapes: { readonly [M in ProtocolModule]: Shape<ProtocolDocuments[M]> } = {
  context: contextShape,
  plan: planShape,
  role: roleShape,
  confirm: confirmShape,
  trace: traceShape,
  extension: extensionShape,
  dialog: dialogShape,
  collab: collabShape,
  network: networkShape,
  core: coreShape,
};
