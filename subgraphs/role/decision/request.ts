import type { Attributes } from '../conditions/index.ts';

/** The circumstances of a request; everything else in it is an attribute. */
export interface Environment {
  /** Epoch ms. @default now */
  readonly timeMs?: number;
  readonly ip?: string;
  readonly [attribute: string]: unknown;
}

export interface PermissionRequest {
  readonly subjectId: string;
  /** What the caller verified about the subject; what is stored of it goes before. */
  readonly subjectAttributes?: Attributes;
  /** @default the resource's id where the resource is a context */
  readonly contextId?: string;
  /** @default the resource's id where the resource is a plan */
  readonly planId?: string;
  readonly action: string;
  readonly resource: { readonly type: string; readonly id?: string; readonly attributes?: Attributes };
  readonly environment?: Environment;
}

export function contextOf({ contextId, resource }: PermissionRequest): string | undefined {
  return contextId ?? (resource.type === 'context' ? resource.id : undefined);
}

export function planOf({ planId, resource }: PermissionRequest): string | undefined {
  return planId ?? (resource.type === 'plan' ? resource.id : undefined);
}
