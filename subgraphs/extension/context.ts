import type { ModuleContext } from '#shared/context.ts';
import type { ExtensionLoaders } from './loaders.ts';
import type { ExtensionService } from './service.ts';

export type RequestContext = ModuleContext<ExtensionService, ExtensionLoaders>;
