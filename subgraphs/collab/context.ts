import type { ModuleContext } from '#shared/context.ts';
import type { CollabLoaders } from './loaders.ts';
import type { CollabService } from './service.ts';

export type RequestContext = ModuleContext<CollabService, CollabLoaders>;
